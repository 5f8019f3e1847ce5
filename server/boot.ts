import { Meteor } from 'meteor/meteor'

/** Every Meteor package that is loaded, by name; webapp is a weak dependency. */
declare const Package: { readonly webapp?: { readonly WebApp: { onListening(callback: () => void): void } } }

/**
 * Runs after all startup hooks that are known when the server starts, those of the application included: hooks run one
 * by one, and one that is added meanwhile goes to the end of the line.
 */
export function afterStartup(callback: () => void): void {
  Meteor.startup(() => {
    Meteor.startup(callback)
  })
}

/** Runs once the web server listens, or after start-up in a server that has none. */
export function onListening(callback: () => void): void {
  afterStartup(() => {
    if (Package.webapp === undefined) callback()
    else Package.webapp.WebApp.onListening(callback)
  })
}
