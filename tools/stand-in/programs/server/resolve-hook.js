// Resolves `meteor/*` as Meteor's bundler would: only for packages that the importing file's own package (or app) uses.
// A test package is a package of its own: what it imports by a relative path is a second copy of that module.

const COPY = '?copy=test'

/** @type {import('./program').Program} */
let program

export function initialize(data) {
  program = data
}

export async function resolve(specifier, context, nextResolve) {
  if (specifier.startsWith('meteor/')) return { url: urlOf(specifier, context.parentURL), shortCircuit: true }
  const resolved = await nextResolve(specifier, context)
  const isCopy = context.parentURL?.includes(COPY) && specifier.startsWith('.') && !resolved.url.includes(COPY)
  return isCopy ? { ...resolved, url: resolved.url + COPY } : resolved
}

function urlOf(specifier, parentURL) {
  const name = specifier.slice('meteor/'.length)
  const scope = program.scopes.find(({ prefix }) => parentURL?.startsWith(prefix) ?? false)
  if (scope === undefined || !scope.uses.includes(name)) {
    throw new Error(`Cannot find package "${name}", imported by ${String(parentURL)}. Is it named in package.js?`)
  }
  return program.urls[name]
}
