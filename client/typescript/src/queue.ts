/** Items from one who pushes to one who iterates; neither waits for the other. No I/O. */

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** An async iterator over what is pushed; what was pushed before `end` or `fail` is still given. */
export class Queue<T> implements AsyncIterator<T, undefined> {
  readonly #items: T[] = [];
  readonly #waiters: Waiter<T>[] = [];
  readonly #onReturn: (() => void) | undefined;
  #over: { error?: unknown } | undefined;

  /** @param onReturn called when the iteration is left early. */
  constructor(onReturn?: () => void) {
    this.#onReturn = onReturn;
  }

  push(item: T): void {
    if (this.#over !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter.resolve({ value: item, done: false });
  }

  end(): void {
    this.#over ??= {};
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ value: undefined, done: true });
  }

  /** End with an error, which is told once. */
  fail(error: unknown): void {
    if (this.#over !== undefined) return;
    const waiter = this.#waiters.shift();
    this.#over = waiter === undefined ? { error } : {};
    waiter?.reject(error);
    this.end();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#items.length > 0) return { value: this.#items.shift()!, done: false };
    if (this.#over === undefined) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if ("error" in this.#over) {
      const { error } = this.#over;
      this.#over = {};
      throw error;
    }
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#items.length = 0;
    this.end();
    this.#onReturn?.();
    return { value: undefined, done: true };
  }
}
