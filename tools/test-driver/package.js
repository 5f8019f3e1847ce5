Package.describe({
  name: 'local:cluster-test-driver',
  version: '0.0.1',
  summary: 'Runs the server tests of nschwarz:cluster in the console, once, in one process only',
})

Package.onUse(api => {
  api.use(['meteor', 'tinytest', 'typescript', 'webapp'], 'server')
  api.mainModule('driver.ts', 'server')
})
