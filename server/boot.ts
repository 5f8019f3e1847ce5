import { Meteor } from 'meteor/meteor'

/** The loaded Meteor packages, by name. Only webapp is declared: a weak dependency, which may be missing. */
declare const Package: { readonly webapp?: { readonly WebApp: { onListening(callback: () => void): void } } }

const SLOW_STARTUP_MS = 10_000

/**
 * Calls `callback` after all startup hooks that are registered when the server starts, the application's included.
 * Meteor runs hooks one by one, and appends a hook that is added meanwhile.
 *
 * @param isSlow called at most once, when the hooks take longer than 10 seconds: one of them may never return
 */
export function afterStartup(callback: () => void, isSlow: () => void = () => undefined): void {
  // Set now, because the hook that never returns may run before ours.
  const timer = setTimeout(isSlow, SLOW_STARTUP_MS)
  Meteor.startup(() => {
    timer.refresh()
    Meteor.startup(() => {
      clearTimeout(timer)
      callback()
    })
  })
}

/** Calls `callback` once the web server listens; in a server without one, after startup. */
export function onListening(callback: () => void): void {
  afterStartup(() => {
    if (Package.webapp === undefined) callback()
    else Package.webapp.WebApp.onListening(callback)
  })
}
