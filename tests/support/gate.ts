import { once } from 'node:events'
import { type Server, type Socket, connect, createServer } from 'node:net'

/** How commands on tasks begin on the wire: that of a claim of several, and of one. */
const UPDATE = commandOnTasks('update')
const FIND_AND_MODIFY = commandOnTasks('findAndModify')

/**
 * A way to the database that can be shut, or held up: for its clients it is then away, while all others still reach it.
 */
export class Gate {
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  #isShut = false
  #isHeldUp = false
  /** The connections to the database. */
  readonly #servers = new Set<Socket>()
  #answersUpdates = true
  #answersFindAndModify = true

  private constructor(target: URL) {
    this.#target = target
    this.#server = createServer(socket => {
      this.pass(socket)
    })
  }

  static async open(mongoUrl: string): Promise<Gate> {
    const gate = new Gate(new URL(mongoUrl))
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    return gate
  }

  /** The way through this gate, to this database. Direct, since a replica set would tell its own addresses. */
  urlOf(database: string): string {
    const { port } = this.#server.address() as { port: number }
    return `mongodb://127.0.0.1:${String(port)}/${database}?directConnection=true&serverSelectionTimeoutMS=2000`
  }

  shut(): void {
    this.#isShut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Connections stay open, but nothing gets through. */
  holdUp(): void {
    this.#isHeldUp = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** The next update of tasks reaches the database, but from then on no answer comes back. */
  holdUpAnswersToUpdates(): void {
    this.#answersUpdates = false
  }

  /** As above, for a claim of one task; all other commands are answered. */
  holdUpAnswersToFindAndModify(): void {
    this.#answersFindAndModify = false
  }

  reopen(): void {
    this.#isShut = false
    this.#isHeldUp = false
    this.#answersUpdates = true
    this.#answersFindAndModify = true
    for (const socket of this.#sockets) socket.resume()
  }

  async close(): Promise<void> {
    this.shut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  private pass(client: Socket): void {
    if (this.#isShut) {
      client.destroy()
      return
    }
    const server = connect(Number(this.#target.port || 27_017), this.#target.hostname)
    this.#servers.add(server)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes: Buffer) => {
        if (from === client && !this.#answersUpdates && bytes.includes(UPDATE)) this.pauseAnswers()
        if (from === client && !this.#answersFindAndModify && bytes.includes(FIND_AND_MODIFY)) server.pause()
        to.write(bytes)
      })
      if (this.#isHeldUp) from.pause()
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        this.#servers.delete(from)
        to.destroy()
      })
    }
  }

  private pauseAnswers(): void {
    for (const server of this.#servers) server.pause()
  }
}

function commandOnTasks(name: string): Buffer {
  return Buffer.from(`\u0002${name}\0\n\0\0\0taskQueue\0`)
}
