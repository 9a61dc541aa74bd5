/** An opener whose devices are what a test sets, and a diary of what happened to them in which order. */
import type { PortDevice, PortHost, PortOpener } from '../../../control/devices/port-device.ts';
import { DeviceError } from '../../../control/errors.ts';
import type { PortModel } from '../../../control/model/model.ts';

export class FakeDevice implements PortDevice {
  handle: number | null = null;
  takes = 0;
  up = false;
  reason: string | null = 'no guest has connected';
  closing: () => Promise<void> = async () => {};
  readonly host: PortHost;
  readonly #diary: string[];
  constructor(host: PortHost, diary: string[]) {
    this.host = host;
    this.#diary = diary;
  }
  /** A guest is there. */
  come(handle: number, takes = 0): void {
    Object.assign(this, { handle, takes, up: true, reason: null });
  }
  go(reason = 'the guest is gone'): void {
    Object.assign(this, { handle: null, up: false, reason });
  }
  details() {
    return { guest: this.up ? 'there' : 'none' };
  }
  missed() {
    return { 'ring-full': 3 };
  }
  async close(): Promise<void> {
    this.#diary.push(`close ${this.host.port}`);
    await this.closing();
  }
}

export class FakeOpener implements PortOpener {
  readonly devices = new Map<string, FakeDevice>();
  readonly #diary: string[];
  /** Ports that can't be opened. */
  readonly broken = new Set<string>();
  /** Called while a port is opened. */
  opening: (device: FakeDevice) => void | Promise<void> = () => {};

  constructor(diary: string[] = []) {
    this.#diary = diary;
  }

  async open(model: PortModel, host: PortHost): Promise<FakeDevice> {
    this.#diary.push(`open ${model.name}`);
    if (this.broken.has(model.name))
      throw new DeviceError('socket-taken', `somebody listens at the socket of ${model.name}`);
    const device = new FakeDevice(host, this.#diary);
    await this.opening(device);
    this.devices.set(model.name, device);
    return device;
  }

  device(name: string): FakeDevice {
    return this.devices.get(name)!;
  }
}
