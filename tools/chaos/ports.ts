import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range from which systems take the ports of outgoing connections. */
const PORTS = { first: 10_000, last: 30_000 }

/** Chosen at random, so that those who look for the next ones from it on do not meet. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first))
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  const [outcome] = await Promise.race([once(server, 'listening').then(() => [true]), once(server, 'error')])
  server.close()
  return outcome === true
}
