/** What `socket` ports need of the addon, so that a fake can stand in for it. Main thread. */
import type { Addon } from '../../../native/binding.ts';

export type PortNative = Pick<
  Addon,
  | 'listenUnix'
  | 'connectUnix'
  | 'connectTo'
  | 'acceptUnix'
  | 'receiveMessage'
  | 'sendMessage'
  | 'closeDescriptor'
  | 'watch'
  | 'peerOf'
  | 'openSocket'
  | 'socketState'
  | 'closeDevice'
>;
