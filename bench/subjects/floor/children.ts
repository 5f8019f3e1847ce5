import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { Asked, Answered } from './child'

/** The codec that the package ships. */
const SERIALIZATION = 'json'

/** Bare forks that answer each message with one. */
export class Children {
  readonly all: readonly ChildProcess[]

  private constructor(all: readonly ChildProcess[]) {
    this.all = all
  }

  static async fork(count: number): Promise<Children> {
    const all = Array.from({ length: count }, () => forkChild())
    await Promise.all(all.map(child => once(child, 'message')))
    return new Children(all)
  }

  get first(): ChildProcess {
    const [first] = this.all
    if (first === undefined) throw new Error('there is no child')
    return first
  }

  /** Keeps `inFlight` messages on their way to each child and back, until all children together have had `count`. */
  async exchange(count: number, inFlight: number, message: Asked): Promise<void> {
    let left = count
    const exchangeWith = (child: ChildProcess) =>
      new Promise<void>(resolve => {
        let underWay = 0
        const next = () => {
          if (left === 0) return
          left--
          underWay++
          child.send(message)
        }
        const answered = () => {
          underWay--
          next()
          if (underWay > 0) return
          child.off('message', answered)
          resolve()
        }
        child.on('message', answered)
        for (let index = 0; index < inFlight; index++) next()
      })
    await Promise.all(this.all.map(exchangeWith))
  }
}

function forkChild(): ChildProcess {
  return fork(path.join(import.meta.dirname, 'child.ts'), [], { serialization: SERIALIZATION })
}

export async function ask(child: ChildProcess, message: Asked): Promise<number> {
  const answered = once(child, 'message') as Promise<[Answered]>
  child.send(message)
  return (await answered)[0].value
}
