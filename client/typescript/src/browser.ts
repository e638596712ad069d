/** The package as browsers have it: no module of Node is loaded. */

export { MeerkatClient } from "./client.js";
export * from "./common.js";
