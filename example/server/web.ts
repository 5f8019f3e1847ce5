import { WebApp } from 'meteor/webapp'
import { GALLERY, WIDTHS, widthFolder } from './output'
import { pageOf } from './page'
import type { Run } from './run'
import { stateOf } from './state'

/** The page at `/`, its state at `/state.json`, and the flags at `/flags/<width>/<code>.png`. */
export function serve(run: Run): void {
  WebApp.handlers.get('/', (_request, response, next) => {
    stateOf(run)
      .then(state => response.type('html').send(pageOf(run.flags, state)))
      .catch(next)
  })
  WebApp.handlers.get('/state.json', (_request, response, next) => {
    stateOf(run)
      .then(state => response.set('Cache-Control', 'no-store').json(state))
      .catch(next)
  })
  WebApp.handlers.get('/flags/:width/:code.png', (request, response) => {
    const { code, width } = request.params
    // Both are checked against what there is, so a path cannot lead out of the folder.
    const folder = WIDTHS.find(known => String(known) === width)
    if (folder === undefined || !run.done.has(code)) response.sendStatus(404)
    else response.sendFile(`${code}.png`, { root: widthFolder(GALLERY, folder) })
  })
}
