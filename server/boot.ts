import { Meteor } from 'meteor/meteor'

/** Every Meteor package that is loaded, by name; webapp is a weak dependency. */
declare const Package: { readonly webapp?: { readonly WebApp: { onListening(callback: () => void): void } } }

const SLOW_STARTUP_MS = 10_000

/**
 * Runs after all startup hooks that are known when the server starts, those of the application included: hooks run one
 * by one, and one that is added meanwhile goes to the end of the line.
 *
 * @param isSlow called once if that takes long, maybe for ever: then a hook has not returned for 10 seconds
 */
export function afterStartup(callback: () => void, isSlow: () => void = () => undefined): void {
  // A hook in front of ours may be the one that does not return.
  const timer = setTimeout(isSlow, SLOW_STARTUP_MS)
  Meteor.startup(() => {
    timer.refresh()
    Meteor.startup(() => {
      clearTimeout(timer)
      callback()
    })
  })
}

/** Runs once the web server listens, or after start-up in a server that has none. */
export function onListening(callback: () => void): void {
  afterStartup(() => {
    if (Package.webapp === undefined) callback()
    else Package.webapp.WebApp.onListening(callback)
  })
}
