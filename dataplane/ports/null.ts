/** `null` ports: take every frame and forget it, never give one. The far end of a bench, or a place to send what nobody should get. */
import type { ScriptPort } from './script-port.ts';

export class NullPort implements ScriptPort {
  readonly port: number;
  constructor(port: number) {
    this.port = port;
  }
  receive(): void {}
  take(): boolean {
    return true;
  }
  close(): void {}

  hasWork(): boolean {
    return false;
  }
}
