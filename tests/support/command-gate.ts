import { once } from 'node:events'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { MongoInternals } from 'meteor/mongo'

/** What becomes of a command: it passes, gets no answer until `release`, or is refused with an error of MongoDB's. */
export type Verdict = 'pass' | 'hold' | { readonly code: number; readonly codeName: string; readonly errmsg: string }

/** A command that a client sent. */
export interface Command {
  /** The name of the command comes first. */
  readonly name: string
  /** On performance.now. */
  readonly at: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Whether it deletes tasks: one, or several. */
export function isDeletion({ body, name }: Command): boolean {
  return name === 'delete' || (name === 'findAndModify' && body.remove === true)
}

const HEADER_BYTES = 16
const OP_MSG = 2013
/** Where the document of an OP_MSG begins: after its flags, and the byte that says that it is a document. */
const BODY_AT = HEADER_BYTES + 5

/**
 * A way to the database that reads the commands that pass, and can hold or refuse each: as a user without rights is
 * refused.
 */
export class CommandGate {
  /** All that were sent, in their order, those that were held or refused included. */
  readonly commands: Command[] = []
  judge: (command: Command) => Verdict = () => 'pass'
  readonly #target: URL
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #held: (() => void)[] = []

  private constructor(target: URL) {
    this.#target = target
    this.#server = createServer(client => {
      this.connect(client)
    })
  }

  static async open(mongoUrl: string): Promise<CommandGate> {
    const gate = new CommandGate(new URL(mongoUrl))
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    return gate
  }

  /** The way through this gate, to this database. */
  urlOf(database: string): string {
    const { port } = this.#server.address() as { port: number }
    return `mongodb://127.0.0.1:${String(port)}/${database}?directConnection=true`
  }

  /** Those of these names that were sent so far. */
  sent(...names: string[]): Command[] {
    return this.commands.filter(({ name }) => names.includes(name))
  }

  /** Lets all commands pass that are held, and all that come. */
  release(): void {
    this.judge = () => 'pass'
    for (const pass of this.#held.splice(0)) pass()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  private connect(client: Socket): void {
    const server = connect(Number(this.#target.port || 27_017), this.#target.hostname)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
    server.on('data', (bytes: Buffer) => client.write(bytes))
    let received = Buffer.alloc(0)
    client.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= 4 && received.length >= received.readInt32LE(0)) {
        const message = received.subarray(0, received.readInt32LE(0))
        received = received.subarray(message.length)
        this.receive(message, client, server)
      }
    })
  }

  private receive(message: Buffer, client: Socket, server: Socket): void {
    const command = commandIn(message)
    if (command !== undefined) this.commands.push(command)
    const verdict = command === undefined ? 'pass' : this.judge(command)
    if (verdict === 'pass') server.write(message)
    else if (verdict === 'hold') this.#held.push(() => server.write(message))
    else client.write(refusalOf(message, verdict))
  }
}

/** Undefined for a message of another kind: the first of a connection, with an older driver. */
function commandIn(message: Buffer): Command | undefined {
  if (message.readInt32LE(HEADER_BYTES - 4) !== OP_MSG || message[BODY_AT - 1] !== 0) return undefined
  const end = BODY_AT + message.readInt32LE(BODY_AT)
  const body = bson().deserialize(message.subarray(BODY_AT, end)) as Record<string, unknown>
  return { name: Object.keys(body)[0] ?? '', at: performance.now(), body }
}

function refusalOf(message: Buffer, error: object): Buffer {
  const body = bson().serialize({ ok: 0, ...error })
  const reply = Buffer.alloc(BODY_AT + body.length)
  reply.writeInt32LE(reply.length, 0)
  // It answers the message with this id.
  reply.writeInt32LE(message.readInt32LE(4), 8)
  reply.writeInt32LE(OP_MSG, 12)
  reply.set(body, BODY_AT)
  return reply
}

function bson() {
  return MongoInternals.NpmModules.mongodb.module.BSON
}
