// What the host offers a plugin.
declare module "plumbline:plugin/host@1.0.0" {
  /** Leaves a message to the plugin's author. The host keeps the first ones and counts the rest; without end, it stops the call. */
  export function log(level: "debug" | "info" | "warn" | "error", message: string): void;
}
