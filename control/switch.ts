/**
 * What the rest of control sees of a running switch: the API and the CLI's tables speak this interface and nothing below it.
 * Implemented by running/running-switch.ts over real workers, and by simulations in tests. Runs on the main thread; never touches a frame.
 */
import type { Document, PortDocument } from './config/document.ts';
import type { TUNNEL_REMOTE_STATES, TunnelRow } from './tunnel-rows.ts';

/** One step of a plan as a person reads it; `subject` is `bridge` or `bridge/port`. */
export interface PlannedStep {
  readonly verb: 'delete' | 'add' | 'change';
  readonly subject: string;
  readonly detail: string;
}

export interface ApplyResult {
  readonly applied: boolean;
  readonly steps: readonly PlannedStep[];
  /** Unsaved changes of the running document that this apply undoes, as `bridge/port: what`. */
  readonly undoes: readonly string[];
  readonly warnings: readonly string[];
}

export interface BridgeRow {
  readonly name: string;
  readonly ports: number;
  readonly fdbEntries: number;
  readonly fdbLimit: number;
  /** Seconds. */
  readonly ageing: number;
}

export interface PortCounts {
  readonly frames: number;
  readonly bytes: number;
  /** Frames as they are on a wire: a super-frame counts each of its segments. */
  readonly segments: number;
}

export interface PortRow {
  readonly bridge: string;
  readonly name: string;
  readonly kind: string;
  readonly device: string | null;
  readonly netns: string | null;
  /** Where a guest is met, null for kinds without a socket. */
  readonly socket: string | null;
  readonly up: boolean;
  /** Why a port is down, null when it is up. */
  readonly reason: string | null;
  /** As a person writes it: `access 10`, `trunk 10,20-29`, `trunk all`. */
  readonly vlan: string;
  readonly mtu: number;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
  readonly receive: PortCounts;
  readonly transmit: PortCounts;
  /** Lost before we could read, by the kernel's own reason. */
  readonly missed: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  readonly fdbEntries: number;
}

/** One port with all that is known of it. */
export interface PortDetail extends PortRow {
  /** An address for the port's own end, the same at every start: a TAP's, or one that its guest may use. */
  readonly mac: string;
  /** The keys of its kind as they are in force, defaults filled in. */
  readonly settings: Readonly<Record<string, string | number | boolean | readonly string[] | null>>;
  /** What is known of the other side, as name and value. */
  readonly details: Readonly<Record<string, string>>;
}

export interface FdbRow {
  readonly bridge: string;
  readonly vlan: number;
  readonly mac: string;
  readonly port: string;
  readonly type: 'learned' | 'static' | 'sticky';
  /** Seconds since the address was last seen as a source; null for static entries. */
  readonly age: number | null;
  /** The tunnel's far end behind which the address lives; null: not at a tunnel, or at one of its remotes that is not known yet. */
  readonly remote: string | null;
  /** The network identifier that frames to it get in place of the tunnel's own; null: the tunnel's own. */
  readonly vni: number | null;
}

/** An entry that no frame taught. */
export interface FdbEntry {
  readonly bridge: string;
  /** Left out: the port's own, of its untagged frames. */
  readonly vlan?: number | undefined;
  readonly mac: string;
  readonly port: string;
  readonly type: 'static' | 'sticky';
  /** Only of tunnels. */
  readonly remote?: string | undefined;
  readonly vni?: number | undefined;
}

export interface FdbFilter {
  readonly bridge?: string | undefined;
  readonly port?: string | undefined;
  readonly vlan?: number | undefined;
  readonly mac?: string | undefined;
}

export interface VlanRow {
  readonly bridge: string;
  /** A VLAN, or a range of VLANs with the same members, as `10` or `11-4094`. */
  readonly vlans: string;
  readonly tagged: readonly string[];
  readonly untagged: readonly string[];
}

export interface WorkerRow {
  readonly index: number;
  readonly cpu: number | null;
  readonly state: 'starting' | 'running' | 'restarting' | 'stopped';
  readonly restarts: number;
  readonly turns: number;
  /** Seconds of turns that moved a frame. */
  readonly busySeconds: number;
  readonly frames: number;
  readonly activeFlows: number;
  readonly io: 'io_uring' | 'read/write' | 'none';
}

/** One side of a link in LACP (IEEE 802.1AX 6.4.2.3), the actor or the partner as the last LACPDU told. */
export interface LacpInfo {
  readonly systemPriority: number;
  readonly system: string;
  readonly key: number;
  readonly portPriority: number;
  readonly port: number;
  /** Names of the state bits that are set, of LACP_STATE_NAMES in dataplane/wire/lacp-value.ts. */
  readonly state: readonly string[];
}

export interface LacpMemberRow {
  readonly actor: LacpInfo;
  /** null before the first LACPDU, and when it was forgotten. */
  readonly partner: LacpInfo | null;
  /** Which aggregator it belongs to, by the number of the aggregator's first port; null: none. */
  readonly aggregator: number | null;
  /** The receive machine's state (6.4.12), and the mux machine's (6.4.15). */
  readonly receive: string;
  readonly mux: string;
  /** The churn machines' (6.4.17). */
  readonly actorChurn: 'none' | 'monitor' | 'churn';
  readonly partnerChurn: 'none' | 'monitor' | 'churn';
  readonly received: number;
  readonly sent: number;
  /** Slow-protocol frames that make no sense. */
  readonly bad: number;
  /** Marker requests that were answered. */
  readonly markers: number;
}

/** `active`: carries all; `enabled`: carries its share; `standby`: could; `waiting`: for updelay or its partner; `disabled` by command; `down`. */
export const BOND_MEMBER_STATES = ['active', 'enabled', 'standby', 'waiting', 'disabled', 'down'] as const;

export interface BondMemberRow {
  readonly name: string;
  readonly device: string | null;
  readonly state: (typeof BOND_MEMBER_STATES)[number];
  /** Why it does not carry; null when it does. */
  readonly reason: string | null;
  readonly link: boolean;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
  /** Buckets of the table that lead to it, and bits per second that these carried of late. */
  readonly buckets: number;
  readonly load: number;
  /** How often its link, or its targets' answers, were lost. */
  readonly failures: number;
  readonly receive: PortCounts;
  readonly transmit: PortCounts;
  readonly dropped: Readonly<Record<string, number>>;
  readonly lacp: LacpMemberRow | null;
}

export interface BondRow {
  readonly bridge: string;
  readonly name: string;
  readonly mode: string;
  /** null for modes that don't hash. */
  readonly hash: string | null;
  readonly mac: string;
  readonly up: boolean;
  readonly reason: string | null;
  /** The member that carries all, or that takes what goes to many; null: none. */
  readonly active: string | null;
  /** `off`; `configured`: no partner yet; `negotiated`; `fallback`: active-backup for want of a partner. */
  readonly lacp: 'off' | 'configured' | 'negotiated' | 'fallback';
  /** How often another member became active, and how many buckets rebalancing moved. */
  readonly failovers: number;
  readonly moved: number;
  readonly members: readonly BondMemberRow[];
}

export type BondCommand = 'enable' | 'disable' | 'activate';

export interface DropRow {
  /** Empty for losses before it is known whose frame it was: at a tunnels' endpoint, whose name `port` then is. */
  readonly bridge: string;
  readonly port: string;
  readonly reason: string;
  readonly meaning: string;
  readonly frames: number;
}

export type SwitchEvent =
  | { readonly type: 'port-up'; readonly time: string; readonly bridge: string; readonly port: string }
  | {
      readonly type: 'port-down';
      readonly time: string;
      readonly bridge: string;
      readonly port: string;
      readonly reason: string;
    }
  | {
      readonly type: 'address-moved';
      readonly time: string;
      readonly bridge: string;
      readonly vlan: number;
      readonly mac: string;
      /** Ports; they are one where a tunnel's address moved between its remotes. */
      readonly from: string;
      readonly to: string;
      /** Of tunnels: the far ends behind which it was and is; null for other ports, and for a remote that is no more. */
      readonly fromRemote: string | null;
      readonly toRemote: string | null;
    }
  | { readonly type: 'worker-restarted'; readonly time: string; readonly worker: number; readonly reason: string }
  /** Another member is active, or one began or ceased to carry; `active` null: none is. */
  | {
      readonly type: 'bond-changed';
      readonly time: string;
      readonly bridge: string;
      readonly port: string;
      readonly active: string | null;
      readonly carrying: readonly string[];
      readonly reason: string;
    }
  /** A remote of a tunnel can be reached again, or no more. */
  | {
      readonly type: 'remote-changed';
      readonly time: string;
      readonly bridge: string;
      readonly port: string;
      readonly remote: string;
      readonly state: (typeof TUNNEL_REMOTE_STATES)[number];
      readonly reason: string | null;
    }
  /** Another inner MTU is in force at a tunnel. */
  | {
      readonly type: 'mtu-changed';
      readonly time: string;
      readonly bridge: string;
      readonly port: string;
      readonly from: number;
      readonly to: number;
      readonly reason: string;
    }
  | { readonly type: 'config-applied'; readonly time: string; readonly steps: number };

export interface CaptureOptions {
  readonly bridge?: string | undefined;
  readonly port: string;
  readonly direction: 'in' | 'out' | 'both';
  readonly vlan?: number | undefined;
  readonly mac?: string | undefined;
  readonly etherType?: number | undefined;
  /** Bytes kept of each frame. */
  readonly snapLength: number;
}

/** One captured frame; `originalBytes` may exceed `bytes.length`. */
export interface CapturedFrame {
  readonly direction: 'in' | 'out';
  /** Nanoseconds since the epoch, as a bigint of wall-clock time. */
  readonly time: bigint;
  readonly originalBytes: number;
  readonly bytes: Uint8Array;
}

export interface Capture extends AsyncIterable<CapturedFrame> {
  /** Frames that the capture itself lost because its reader was too slow. */
  readonly lost: number;
  /** Resolves when `lost` is final. */
  close(): Promise<void>;
}

/** Every method that names something unknown rejects with a `RequestError` (errors.ts). */
export interface Switch {
  config(): Document;
  apply(document: Document, options: { readonly dryRun: boolean }): Promise<ApplyResult>;
  /** Writes the running document back to the file it came from, atomically. */
  save(): Promise<{ readonly file: string }>;
  addPort(bridge: string, port: PortDocument): Promise<ApplyResult>;
  deletePort(bridge: string, name: string): Promise<ApplyResult>;
  bridges(): BridgeRow[];
  ports(): PortRow[];
  /** Throws a RequestError where there is none. */
  port(bridge: string, name: string): PortDetail;
  fdb(filter: FdbFilter): FdbRow[];
  addFdb(entry: FdbEntry): Promise<void>;
  deleteFdb(entry: { bridge: string; vlan: number; mac: string }): Promise<void>;
  /** Answers how many entries went. */
  flushFdb(filter: {
    bridge?: string | undefined;
    port?: string | undefined;
    vlan?: number | undefined;
  }): Promise<number>;
  vlans(): VlanRow[];
  workers(): WorkerRow[];
  /** Ends a worker's thread and starts it again; other ports' traffic does not notice. */
  restartWorker(index: number): Promise<void>;
  drops(): DropRow[];
  bonds(): BondRow[];
  /** Takes a member out of its bond by hand without loss, lets it in again, or makes it the active one. */
  commandMember(bridge: string, port: string, member: string, command: BondCommand): Promise<void>;
  tunnels(): TunnelRow[];
  capture(options: CaptureOptions): Capture;
  /** Calls back for every event until the returned function is called. */
  onEvent(listener: (event: SwitchEvent) => void): () => void;
  close(): Promise<void>;
}
