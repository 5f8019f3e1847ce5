import { type ChildProcess, type SpawnOptions, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../tests/support/wait'

const STOP_PATIENCE_MS = 10_000

interface Options extends SpawnOptions {
  readonly stopSignal: NodeJS.Signals
  /** The port on which the server listens. */
  readonly port: number
}

/** A server that this process starts and stops. `stop` deletes its folder too. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #stopSignal: NodeJS.Signals

  private constructor(command: string, args: readonly string[], folder: string, options: Options) {
    const { stopSignal, port: _port, ...spawnOptions } = options
    this.#child = spawn(command, args, { ...spawnOptions, stdio: 'ignore' })
    this.#folder = folder
    this.#stopSignal = stopSignal
  }

  /** Resolves when the server accepts connections. */
  static async start(
    command: string,
    args: readonly string[],
    folder: string,
    options: Options,
  ): Promise<ServerProcess> {
    const server = new ServerProcess(command, args, folder, options)
    try {
      await server.listening(options.port)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  private async listening(port: number): Promise<void> {
    await eventually(`something listens on ${String(port)}`, () => {
      if (this.#child.exitCode !== null) throw new Error(`${this.#child.spawnfile} exited while it was starting`)
      return accepts(port)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit')
      this.#child.kill(this.#stopSignal)
      await Promise.race([exit, pause(STOP_PATIENCE_MS, undefined, { ref: false })])
      this.#child.kill('SIGKILL')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The file of a command on the PATH or in one of these folders. */
export function findCommand(name: string, folders: readonly string[] = []): string | undefined {
  try {
    return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return folders.map(folder => `${folder}/${name}`).find(file => existsSync(file))
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
