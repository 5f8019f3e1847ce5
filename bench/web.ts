/** What the web process of a subject suffers while jobs run: pauses of its event loop, and slow requests. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { burn } from './burn'
import { now } from './clock'
import type { Operations } from './protocol'

/** How often to check that the event loop still turns. */
const CHECK_EVERY_MS = 1

/** The operations that the process of every subject offers. */
export const web: Pick<Operations, 'serveWeb' | 'burnInTurns' | 'longestGap'> = {
  serveWeb: async () => {
    const server = createServer((_request, response) => response.end('here'))
    server.listen(0, '127.0.0.1').unref()
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },
  burnInTurns: async (iterations, ms) => {
    const end = now() + ms
    while (now() < end) {
      burn(iterations)
      await nextTurn()
    }
  },
  longestGap: ms =>
    new Promise(resolve => {
      const end = now() + ms
      let [last, longest] = [now(), 0]
      const interval = setInterval(() => {
        longest = Math.max(longest, now() - last)
        last = now()
        if (last < end) return
        clearInterval(interval)
        resolve(longest)
      }, CHECK_EVERY_MS)
    }),
}
