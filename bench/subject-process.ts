import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import {
  type Answer,
  type OperationName,
  type Operations,
  type Request,
  SETTINGS_VARIABLE,
  type Settings,
} from './protocol'
import { within } from '../tests/support/wait'

/** No operation takes this long, unless it hangs. */
const PATIENCE_MS = 15 * 60_000
const BOOT_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 10_000
const LINES_OF_OUTPUT = 20

/** How to start the process of a subject. */
export interface Program {
  readonly main: string
  readonly execArgv: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * The process of a subject, which runs one operation after another. What it prints goes to a file, as with a service
 * manager.
 */
export class SubjectProcess {
  readonly #child: ChildProcess
  readonly #output: string
  readonly #exit: Promise<unknown>
  readonly #pending = new Map<number, Pending>()
  #requests = 0

  private constructor(program: Program, settings: Settings, output: string) {
    const file = openSync(output, 'a')
    this.#output = output
    this.#child = fork(program.main, [], {
      execArgv: [...program.execArgv],
      serialization: 'advanced',
      stdio: ['ignore', file, file, 'ipc'],
      env: { ...program.env, [SETTINGS_VARIABLE]: JSON.stringify(settings) },
    })
    closeSync(file)
    this.#exit = once(this.#child, 'exit').then(() => {
      this.failAll()
    })
    this.#child.on('message', answer => {
      this.receive(answer as Answer)
    })
  }

  /** Resolves when it is ready for the first operation. @param output the file for what it prints */
  static async start(program: Program, settings: Settings, output: string): Promise<SubjectProcess> {
    const started = new SubjectProcess(program, settings, output)
    const ready = new Promise((resolve, reject) => started.#pending.set(0, { resolve, reject }))
    try {
      await within(ready, `the start of ${program.main}`, BOOT_PATIENCE_MS)
      return started
    } catch (error) {
      await started.stop()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  async call<Name extends OperationName>(
    operation: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<Awaited<ReturnType<Operations[Name]>>> {
    const id = ++this.#requests
    const answered = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
    if (this.hasExited) this.failAll()
    else this.#child.send({ id, operation, args } satisfies Request)
    return (await within(answered, operation, PATIENCE_MS)) as Awaited<ReturnType<Operations[Name]>>
  }

  /** Its settings, if they were chosen by measurement. */
  async note(): Promise<string | undefined> {
    return (await this.call('note')) || undefined
  }

  /** Lets the process and its workers exit by themselves, and kills the process if it does not. */
  async stop(): Promise<void> {
    if (this.hasExited) return
    this.#child.kill('SIGTERM')
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_PATIENCE_MS)
    await this.#exit
    clearTimeout(kill)
  }

  /** For when there is no time to wait. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  private get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  private receive(answer: Answer): void {
    const id = 'ready' in answer ? 0 : answer.id
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if ('error' in answer) pending?.reject(new Error(answer.error))
    else pending?.resolve('ready' in answer ? undefined : answer.value)
  }

  private failAll(): void {
    const lines = readFileSync(this.#output, 'utf8').trimEnd().split('\n').slice(-LINES_OF_OUTPUT)
    const error = new Error(`the process exited; its last lines:\n${lines.join('\n')}`)
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }
}
