/**
 * Keeps ports true to what their openers opened: a guest that comes or goes, an interface that vanishes. Main thread; works in the
 * switch's turn and follows all that was heard until then at once, so that many guests that end together cost one publication.
 */
import type { Foundation } from './foundation.ts';
import type { OpenedBacking, PortState } from './port-book.ts';

interface Followed {
  readonly state: PortState;
  readonly opened: OpenedBacking;
}

export class DeviceKeeper {
  readonly #base: Foundation;
  /** Runs a change in the switch's turn, later. */
  readonly #inTurn: (change: () => Promise<void>) => void;
  readonly #due = new Set<OpenedBacking>();

  constructor(base: Foundation, inTurn: (change: () => Promise<void>) => void) {
    this.#base = base;
    this.#inTurn = inTurn;
  }

  hear(opened: OpenedBacking): void {
    this.#due.add(opened);
    if (this.#due.size === 1) this.#inTurn(() => this.#follow());
  }

  /**
   * Up and down first in the tables, then the workers: nothing is listed for what was lost, and what a guest has waiting when its rings are
   * attached is not dropped as coming from a port that is down. Takes grow only when workers serve the device.
   */
  async #follow(): Promise<void> {
    const { book, counters } = this.#base;
    const due = [...this.#due].flatMap((opened): Followed[] => {
      const state = book.byNumber(opened.number);
      // A port may have been deleted since.
      return state?.device === opened ? [{ state, opened }] : [];
    });
    this.#due.clear();
    const were = new Map(due.map(({ state }) => [state, state.up]));
    const fallen = due.filter(({ state, opened }) => state.up && !opened.up);
    for (const { state } of fallen) counters.flushPort(state.number);
    const risen = due.filter(({ state, opened }) => !state.up && opened.up);
    await this.#adopt(due, (taken, takes) => taken & takes, [...fallen, ...risen]);
    await Promise.all(due.map(({ opened }) => opened.follow()));
    for (const { state } of due) this.#base.hear(state);
    await this.#adopt(due, (_, takes) => takes, due);
    for (const { state } of due) if (were.get(state) !== state.up) this.#base.tell(state);
    await this.#base.addEntries(fallen.map(({ state }) => state));
  }

  /** Takes over what devices take and, of `these`, whether they are up; publishes where that changes the tables. */
  async #adopt(
    due: readonly Followed[],
    merge: (taken: number, takes: number) => number,
    these: readonly Followed[],
  ): Promise<void> {
    let dirty = false;
    for (const { opened } of due) {
      const takes = merge(opened.takes, opened.device.takes);
      dirty ||= takes !== opened.takes;
      opened.takes = takes;
    }
    for (const { state, opened } of these) {
      dirty ||= state.up !== opened.up;
      state.up = opened.up;
      state.reason = opened.reason;
    }
    if (dirty) await this.#base.publish();
  }
}
