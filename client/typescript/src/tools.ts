/** Tools that this program carries out for the daemon's turns. */

import type { TextContent, ToolDefinition, ToolExecute } from "./types.js";
import { fromWire } from "./shapes.js";

/** Carries out a call; what it throws is told to the model as the tool's error. */
export type ToolHandler = (
  args: Record<string, unknown>,
  call: { toolUseId: string },
) => string | TextContent[] | Promise<string | TextContent[]>;

interface Tool {
  definition: ToolDefinition;
  handler: ToolHandler;
}

export class Tools {
  readonly #tools = new Map<string, Tool>();

  add(definition: ToolDefinition, handler: ToolHandler): void {
    this.#tools.set(definition.name, { definition, handler });
  }

  definitions(): ToolDefinition[] {
    return [...this.#tools.values()].map(({ definition }) => definition);
  }

  /** The answer to `tool/execute`; undefined for any other method. */
  answer(method: string, params: unknown): Promise<unknown> | undefined {
    return method === "tool/execute" ? this.#execute(fromWire("ToolExecute", params) as ToolExecute) : undefined;
  }

  async #execute({ name, arguments: args, toolUseId }: ToolExecute): Promise<{ content: unknown; is_error: boolean }> {
    const tool = this.#tools.get(name);
    if (tool === undefined) return { content: `This program has no tool ${name}.`, is_error: true };
    try {
      return { content: await tool.handler(args, { toolUseId }), is_error: false };
    } catch (error) {
      return { content: error instanceof Error ? error.message : String(error), is_error: true };
    }
  }
}
