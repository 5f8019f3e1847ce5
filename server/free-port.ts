import { createServer } from 'node:net'

const LAST_PORT = 65_535

/**
 * Finds the first port, from `first` up, that is not in `taken` and on which nobody listens. Another process may take
 * it before the worker does, so the master checks before it forks, and the worker again before it listens.
 *
 * @throws if no port is left
 */
export async function freePort(first: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = first; port <= LAST_PORT; port++) {
    if (!taken.has(port) && (await canListen(port, '127.0.0.1'))) return port
  }
  throw new Error(`no free port for a worker between ${String(first)} and ${String(LAST_PORT)}`)
}

/** @param host the address to listen on; default: all */
export function canListen(port: number, host?: string): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => {
      resolve(false)
    })
    server.listen({ port, host }, () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}
