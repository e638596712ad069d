export * from "./common.js";
export { MeerkatClient, type ConnectOptions } from "./node.js";
