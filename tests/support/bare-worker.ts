import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { unwrap, wrap } from '../../common/pipe/envelope'
import { type ToMaster, type ToWorker, WORKER_VARIABLE, isToMaster } from '../../common/pipe/protocol'
import type { TestDatabase } from './database'
import { APP_VARIABLE } from './remote-protocol'
import { forkedProcesses } from './remote-server'
import { serverEnvironment } from './server-environment'
import { eventually } from './wait'

declare const __meteor_bootstrap__: { readonly serverDir: string }

/** A real worker whose master is the test, which says to it what no master would. */
export class BareWorker {
  readonly #child: ChildProcess
  readonly #messages: ToMaster[] = []

  static async start(database: TestDatabase): Promise<BareWorker> {
    const worker = new BareWorker(database)
    await eventually('the worker is ready', () => worker.#messages.some(({ kind }) => kind === 'ready'))
    return worker
  }

  private constructor({ url }: TestDatabase) {
    const main = path.resolve(__meteor_bootstrap__.serverDir, '../../main.js')
    this.#child = fork(main, process.argv.slice(3), {
      env: { ...serverEnvironment(), [APP_VARIABLE]: 'remote', [WORKER_VARIABLE]: 'the test', MONGO_URL: url },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'json',
    })
    forkedProcesses.add(this.#child.pid ?? -1)
    this.#child.on('message', raw => this.#messages.push(...unwrap(raw, isToMaster).filter(isToMaster)))
  }

  send(message: ToWorker): void {
    this.#child.send(wrap([message]))
  }

  /** The kind of the first message about this job, once there is one. */
  async firstOf(token: string): Promise<ToMaster['kind']> {
    const find = () => this.#messages.find(message => 'token' in message && message.token === token)
    await eventually(`the worker says something about ${token}`, () => find() !== undefined)
    return find()?.kind ?? 'ready'
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}
