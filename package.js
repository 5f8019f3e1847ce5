Package.describe({
  name: 'nschwarz:cluster',
  version: '3.0.0',
  summary: 'Job workers: a MongoDB and in-memory task queue, run in forked copies of the server',
  git: 'https://github.com/nathanschwarz/meteor-cluster.git',
  documentation: 'README.md',
})

Npm.depends({ croner: '11.0.1' })

Package.onUse(api => {
  api.versionsFrom('3.0')
  api.use(['mongo', 'typescript'])
  api.use('zodern:types@1.0.13')
  // A worker is ready when its web server listens; an app without one has nothing to wait for.
  api.use('webapp', 'server', { weak: true })
  api.mainModule('server/main.ts', 'server')
  // None of it reaches a client that does not import the package.
  api.mainModule('client/main.ts', 'client', { lazy: true })
})

Package.onTest(api => {
  api.use(['nschwarz:cluster', 'mongo', 'random', 'tinytest', 'typescript', 'webapp'], 'server')
  api.mainModule('tests/main.ts', 'server')
})
