// Resolves `meteor/*` as Meteor's bundler would: only for packages that the importing file's own package (or app) uses.

/** @type {import('./program').Program} */
let program

export function initialize(data) {
  program = data
}

export async function resolve(specifier, context, nextResolve) {
  if (!specifier.startsWith('meteor/')) return asModule(await nextResolve(specifier, context))
  return { url: urlOf(specifier.slice('meteor/'.length), context.parentURL ?? ''), shortCircuit: true }
}

/**
 * Meteor takes every source for an ES module. An app's package.json must not say so, since that breaks `meteor run`; so it
 * is said here, and what tsx noted in the address for CommonJS is dropped.
 */
function asModule(resolved) {
  const [url] = resolved.url.split(/\?|%3F/)
  return url.endsWith('.ts') ? { ...resolved, url, format: 'module' } : resolved
}

function urlOf(name, parentURL) {
  const scope = program.scopes.find(({ prefix }) => parentURL.startsWith(prefix))
  if (scope?.uses.includes(name)) return program.urls[name]
  throw new Error(`Cannot find package "${name}", imported by ${parentURL}. Is it named in package.js?`)
}
