/**
 * One master of a run, or the server without a cluster. It has a process of its own, which can be killed and started
 * again with the same settings.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { monotonicNow } from '../../common/clock'
import type { Call, Reply, Request } from '../../tests/chaos/calls'
import { LOG_VARIABLE, WEB_VARIABLE, type Write } from '../../tests/chaos/log'
import { SKEW_VARIABLE } from '../../tests/chaos/skew'
import { workersOf } from '../../tests/support/processes'
import { APP_VARIABLE, OPTIONS_VARIABLE } from '../../tests/support/remote-protocol'
import { serverEnvironment } from '../../tests/support/server-environment'
import { within } from '../../tests/support/wait'
import { standInForTests } from '../stand-in/start'

export interface MasterSettings {
  /** main.js of a built server; undefined for the stand-in. */
  readonly server: string | undefined
  readonly options: { readonly port: number; readonly [name: string]: unknown }
  /** Whether this is the server without a cluster. */
  readonly isWeb: boolean
  readonly env: NodeJS.ProcessEnv
  readonly log: string
  /** The file for what the server and its workers print. */
  readonly output: string
  readonly write: Write
}

export class Master {
  readonly #settings: MasterSettings
  readonly #waiting = new Map<number, () => void>()
  #child: ChildProcess | undefined
  #exit: Promise<void> = Promise.resolve()
  #requests = 0
  #isExitPlanned = false
  #isUp = false
  #skew = 0
  /** On the monotonic clock. */
  #startedAt = 0

  constructor(settings: MasterSettings) {
    this.#settings = settings
  }

  /** Whether it has started and not exited. It may still be stopped (SIGSTOP). */
  get isUp(): boolean {
    return this.#isUp
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get workerPids(): number[] {
    return workersOf(this.pid)
  }

  get startedAt(): number {
    return this.#startedAt
  }

  /** The names of its schedules. */
  get schedules(): string {
    return Object.keys((this.#settings.options.schedules as object | undefined) ?? {})
      .sort()
      .join()
  }

  /** Milliseconds by which its clock is wrong. */
  get skew(): number {
    return this.#skew
  }

  async start(skew = this.#skew): Promise<void> {
    this.#skew = skew
    const child = this.fork(skew)
    this.#child = child
    this.#isExitPlanned = false
    const started = new Promise<void>(resolve => {
      child.on('message', (message: Reply) => {
        if (message.reply === 'returned') this.returned(message.request)
        else resolve()
      })
    })
    this.watchExit(child)
    await within(Promise.race([started, this.#exit]), 'the start of a master')
    this.#startedAt = monotonicNow()
    this.#isUp = child.exitCode === null && child.signalCode === null
  }

  /** Resolves when the process has exited, and can be started again. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isExitPlanned = true
    this.#child?.kill(signal)
    await within(this.#exit, `the exit of a master after ${signal}`, 60_000)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  /** Resolves when the call has returned, or when the process has exited. */
  async call(call: Call): Promise<void> {
    const child = this.#child
    if (child?.connected !== true) return
    const request = this.#requests++
    const returned = new Promise<void>(resolve => {
      this.#waiting.set(request, resolve)
      child.send({ request, call } satisfies Request, () => undefined)
    })
    await returned
  }

  private returned(request: number): void {
    this.#waiting.get(request)?.()
    this.#waiting.delete(request)
  }

  private fork(skew: number): ChildProcess {
    const { server, options, env, log, output, isWeb } = this.#settings
    const { args, env: needed } = standInForTests()
    const file = openSync(output, 'a')
    const child = fork(server ?? args.at(-1) ?? '', [], {
      execArgv: server === undefined ? args.slice(0, -1) : [],
      env: {
        ...{ ...serverEnvironment(), ...needed, ...env, NODE_ENV: 'production' },
        ...{ [APP_VARIABLE]: 'chaos', [OPTIONS_VARIABLE]: JSON.stringify(options) },
        ...{ [LOG_VARIABLE]: log, [SKEW_VARIABLE]: String(skew), ...(isWeb ? { [WEB_VARIABLE]: '1' } : {}) },
      },
      stdio: ['ignore', file, file, 'ipc'],
      serialization: 'advanced',
      // Ctrl-C must reach the driver alone, which ends all other processes.
      detached: true,
    })
    closeSync(file)
    return child
  }

  private watchExit(child: ChildProcess): void {
    const target = child.pid ?? -1
    this.#exit = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        this.#isUp = false
        for (const request of this.#waiting.keys()) this.returned(request)
        const how = signal ?? `exit code ${String(code)}`
        this.#settings.write({ what: 'exit', target, isPlanned: this.#isExitPlanned, how })
        resolve()
      })
    })
  }
}
