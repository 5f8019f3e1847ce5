import { createServer } from 'node:net'

const LAST_PORT = 65_535

/**
 * The first port from `first` on that is not in `taken` and that nobody listens on. It may be taken by somebody before
 * the worker gets to it; then the worker exits before it is ready, and the pool tries again.
 *
 * @throws when there is none left
 */
export async function freePort(first: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = first; port <= LAST_PORT; port++) {
    if (!taken.has(port) && (await canListen(port))) return port
  }
  throw new Error(`no free port for a worker between ${String(first)} and ${String(LAST_PORT)}`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}
