import { once } from 'node:events'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { type Answer, type Command, Frames, commandOf, errorReply, answerOf } from './wire-frames'

export type { Command } from './wire-frames'

type Accepts = (command: Command, answer: Answer) => boolean

/** Messages that were stopped on their way. */
export class Held {
  readonly #accepts: Accepts
  readonly #waiting: (() => void)[] = []
  #isOver = false
  #count = 0

  constructor(accepts: Accepts) {
    this.#accepts = accepts
  }

  /** How many messages were stopped so far. */
  get count(): number {
    return this.#count
  }

  /** @returns whether the message was stopped */
  takes(command: Command, answer: Answer, pass: () => void): boolean {
    if (this.#isOver || !this.#accepts(command, answer)) return false
    this.#count++
    this.#waiting.push(pass)
    return true
  }

  /** Lets those pass that were stopped so far. Later ones are stopped. */
  passThese(): void {
    for (const pass of this.#waiting.splice(0)) pass()
  }

  /** Lets all pass from now on. */
  release(): void {
    this.#isOver = true
    this.passThese()
  }
}

/**
 * A way to the database on which a test sees every command, and can hold up single commands or answers, or have a
 * command fail. Other connections to the database are not affected.
 */
export class WireTap {
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  readonly #commands: Command[] = []
  readonly #heldCommands: Held[] = []
  readonly #heldAnswers: Held[] = []
  /** Each fails one command with this code of MongoDB. */
  readonly #failures: { readonly accepts: (command: Command) => boolean; readonly code: number }[] = []

  private constructor(target: URL) {
    this.#target = target
    this.#server = createServer(socket => {
      this.join(socket)
    })
  }

  static async open(mongoUrl: string): Promise<WireTap> {
    const tap = new WireTap(new URL(mongoUrl))
    tap.#server.listen(0, '127.0.0.1')
    await once(tap.#server, 'listening')
    return tap
  }

  /** The URL of this database through the tap. Direct, since a replica set would tell its own addresses. */
  urlOf(database: string): string {
    const { port } = this.#server.address() as { port: number }
    return `mongodb://127.0.0.1:${String(port)}/${database}?directConnection=true`
  }

  /** All commands that were sent so far. */
  get commands(): readonly Command[] {
    return this.#commands
  }

  /** Stops these commands before they reach the database. */
  holdCommands(accepts: (command: Command) => boolean): Held {
    const held = new Held(accepts)
    this.#heldCommands.push(held)
    return held
  }

  /** Stops the answers to these commands. The database has executed them. */
  holdAnswers(accepts: Accepts): Held {
    const held = new Held(accepts)
    this.#heldAnswers.push(held)
    return held
  }

  /** Answers the next such command with an error instead of sending it. @returns whether that has happened */
  failNext(accepts: (command: Command) => boolean, code: number): () => boolean {
    const failure = { accepts, code }
    this.#failures.push(failure)
    return () => !this.#failures.includes(failure)
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  private join(client: Socket): void {
    const server = connect(Number(this.#target.port || 27_017), this.#target.hostname)
    const sent = new Map<number, Command>()
    const commands = new Frames(frame => {
      this.passCommand(frame, client, server, sent)
    })
    const answers = new Frames(frame => {
      this.passAnswer(frame, client, sent)
    })
    client.on('data', (bytes: Buffer) => {
      commands.add(bytes)
    })
    server.on('data', (bytes: Buffer) => {
      answers.add(bytes)
    })
    this.endTogether(client, server)
    this.endTogether(server, client)
  }

  private endTogether(socket: Socket, other: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => other.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      other.destroy()
    })
  }

  private passCommand(frame: Buffer, client: Socket, server: Socket, sent: Map<number, Command>): void {
    const command = commandOf(frame)
    const pass = () => server.write(frame)
    if (command === undefined) {
      pass()
      return
    }
    this.#commands.push(command)
    const failure = this.#failures.findIndex(({ accepts }) => accepts(command))
    if (failure !== -1) {
      const [{ code } = { code: 0 }] = this.#failures.splice(failure, 1)
      client.write(errorReply(command, code))
      return
    }
    sent.set(command.id, command)
    if (!this.#heldCommands.some(held => held.takes(command, {}, pass))) pass()
  }

  private passAnswer(frame: Buffer, client: Socket, sent: Map<number, Command>): void {
    const { to, answer } = answerOf(frame)
    const command = sent.get(to)
    sent.delete(to)
    const pass = () => client.write(frame)
    const isHeld = command !== undefined && this.#heldAnswers.some(held => held.takes(command, answer, pass))
    if (!isHeld) pass()
  }
}
