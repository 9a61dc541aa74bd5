/**
 * The errors that a user can cause. Each has a code, says what was found and what is allowed, and carries the place where
 * there is one. The CLI prints the message and exits with `exitCode`; the API answers with `status`.
 */

/** One thing wrong with a document: `place` as `bridges[0].ports[2].vlan.tag`, `message` without the place. */
export interface Problem {
  readonly place: string;
  readonly message: string;
  /** 1-based, where the document came from text. */
  readonly line?: number | undefined;
}

export class WeftError extends Error {
  readonly code: string;
  readonly exitCode: number;
  readonly status: number;
  /** What the user can do about it, one sentence, or null. */
  readonly hint: string | null;
  constructor(
    code: string,
    message: string,
    options: { exitCode?: number; status?: number; hint?: string | null; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.exitCode = options.exitCode ?? 1;
    this.status = options.status ?? 500;
    this.hint = options.hint ?? null;
  }
}

/** The document is wrong: every problem at once. */
export class DocumentError extends WeftError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super('bad-document', problems.map((p) => `${p.place}: ${p.message}`).join('\n'), { exitCode: 2, status: 400 });
    this.problems = problems;
  }
}

/** A request names something that is not there, or asks what can't be. */
export class RequestError extends WeftError {
  constructor(code: string, message: string, hint: string | null = null, status = 400) {
    super(code, message, { exitCode: 2, status, hint });
  }
}

/** The machine refused: a device, a namespace, a permission. */
export class DeviceError extends WeftError {
  constructor(code: string, message: string, hint: string | null = null, cause?: unknown) {
    super(code, message, { exitCode: 1, status: 500, hint, cause });
  }
}
