/** The messages of MongoDB's wire protocol (OP_MSG), as far as tests look into them. */
import { MongoInternals } from 'meteor/mongo'

type Document = Readonly<Record<string, unknown>>
export type Answer = Document

export interface Command {
  readonly id: number
  /** `find`, `insert` … */
  readonly name: string
  readonly collection: string
  /** Its documents, updates and deletes included. */
  readonly body: Document
}

const HEADER_BYTES = 16
const BODY_AT = HEADER_BYTES + 4
const OP_MSG = 2013
/** The kind of a section that holds one document; the other kind holds a list of them. */
const BODY = 0

interface Bson {
  deserialize(bytes: Uint8Array, options: object): Document
  serialize(document: Document): Uint8Array
}

function bson(): Bson {
  return (MongoInternals.NpmModules.mongodb.module as unknown as { BSON: Bson }).BSON
}

/** Also a pattern that no RegExp can be made of. */
function read(bytes: Uint8Array): Document {
  return bson().deserialize(bytes, { bsonRegExp: true })
}

/** Cuts a stream of bytes into messages. */
export class Frames {
  readonly #tell: (frame: Buffer) => void
  #bytes: Buffer = Buffer.alloc(0)

  constructor(tell: (frame: Buffer) => void) {
    this.#tell = tell
  }

  add(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    while (this.#bytes.length >= 4 && this.#bytes.length >= this.#bytes.readInt32LE(0)) {
      const length = this.#bytes.readInt32LE(0)
      const frame = this.#bytes.subarray(0, length)
      this.#bytes = this.#bytes.subarray(length)
      this.#tell(frame)
    }
  }
}

/** @returns undefined for a message in another form, such as the first of a connection */
export function commandOf(frame: Buffer): Command | undefined {
  if (frame.readInt32LE(12) !== OP_MSG) return undefined
  const body = bodyOf(frame)
  const [name = ''] = Object.keys(body)
  const collection = name === 'getMore' ? body.collection : body[name]
  return { id: frame.readInt32LE(4), name, collection: String(collection), body }
}

export function answerOf(frame: Buffer): { readonly to: number; readonly answer: Answer } {
  const answer = frame.readInt32LE(12) === OP_MSG ? bodyOf(frame) : {}
  return { to: frame.readInt32LE(8), answer }
}

/** The answer of a server that cannot execute this command. */
export function errorReply({ id }: Command, code: number): Buffer {
  const body = bson().serialize({ ok: 0, code, errmsg: 'failed by the test' })
  const reply = Buffer.alloc(BODY_AT + 1 + body.length)
  for (const [index, value] of [reply.length, id, id, OP_MSG, 0].entries()) reply.writeInt32LE(value, index * 4)
  reply.set(body, BODY_AT + 1)
  return reply
}

function bodyOf(frame: Buffer): Document {
  const parts: Document[] = []
  const hasChecksum = (frame.readUInt32LE(HEADER_BYTES) & 1) === 1
  const end = frame.length - (hasChecksum ? 4 : 0)
  for (let at = BODY_AT; at < end;) {
    const size = frame.readInt32LE(at + 1)
    const section = frame.subarray(at + 1, at + 1 + size)
    parts.push(frame[at] === BODY ? read(section) : listOf(section))
    at += 1 + size
  }
  return Object.assign({}, ...parts) as Document
}

/** A size, a name that ends with a zero, and the documents. */
function listOf(section: Buffer): Document {
  const nameEnd = section.indexOf(0, 4)
  const documents: Document[] = []
  for (let at = nameEnd + 1; at < section.length; at += section.readInt32LE(at)) {
    documents.push(read(section.subarray(at, at + section.readInt32LE(at))))
  }
  return { [section.toString('utf8', 4, nameEnd)]: documents }
}
