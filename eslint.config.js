import js from '@eslint/js'
import tseslint from 'typescript-eslint'

/**
 * The arrows of docs/architecture.md: what each room may not import. A group of patterns is matched as in .gitignore.
 */
function room(files, ...forbidden) {
  const patterns = forbidden.map(([group, message]) => ({ group: [group].flat(), message }))
  return { files, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

export default tseslint.config(
  { ignores: ['**/node_modules/', '.cache/', '**/.meteor/local/', 'example/packages/', '**/package.js'] },
  js.configs.recommended,
  // Prettier wraps the code.
  { rules: { 'max-len': ['error', { code: 1000, comments: 120, ignoreUrls: true }] } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: 'tsconfig.check.json',
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines': ['error', { max: 300, skipComments: true }],
      'max-lines-per-function': ['error', { max: 40, skipComments: true, skipBlankLines: true }],
      // Meteor 3.0's Babel compiles private fields, but refuses private methods.
      'no-restricted-syntax': [
        'error',
        {
          selector: 'MethodDefinition[key.type="PrivateIdentifier"]',
          message: 'Meteor 3.0 does not compile private methods; write `private name()`.',
        },
      ],
    },
  },
  {
    // Meteor cannot import() a module that has `await` at its top level; main.ts files are entries.
    files: ['server/**/*.ts', 'common/**/*.ts', 'tests/**/*.ts', 'example/server/**/*.ts'],
    ignores: ['**/main.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'Program > ExpressionStatement > AwaitExpression', message: 'await belongs into an entry.' },
        {
          selector: 'MethodDefinition[key.type="PrivateIdentifier"]',
          message: 'Meteor 3.0 does not compile private methods; write `private name()`.',
        },
      ],
    },
  },
  {
    // The libraries of the peers are installed by `npm run bench` only, so there are no types to go by. The other
    // folder has types of its own, which tools/check-types.js checks.
    files: ['bench/peers/**/*.ts', 'tests/types/registered/*.ts'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { project: null } },
  },
  {
    files: ['**/*.tests.ts', 'tests/types/*.ts', 'tests/properties/settle-model.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off' },
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } } },
  room(['common/**/*.ts'], ['**/server/**', 'common imports nothing of ours'], ['meteor/*', 'common needs no Meteor']),
  room(
    ['server/queue/**/*.ts'],
    ['**/master/**', 'the queue does not know who dispatches'],
    ['**/pool/**', 'the queue does not know who runs'],
    ['**/worker/**', 'the queue does not know who runs'],
  ),
  room(['server/master/**/*.ts'], ['**/worker/**', 'master and worker meet in common/pipe/protocol.ts only']),
  room(
    ['server/pool/**/*.ts'],
    ['**/master/**', 'the pool tells its listener'],
    [['**/queue/**', '!**/queue/claim'], 'queue/claim.ts is the only door between pool and queue'],
    ['**/worker/**', 'master and worker meet in common/pipe/protocol.ts only'],
  ),
  room(
    ['server/worker/**/*.ts'],
    ['**/master/**', 'master and worker meet in common/pipe/protocol.ts only'],
    ['**/pool/**', 'master and worker meet in common/pipe/protocol.ts only'],
    ['**/queue/**', 'a worker never dispatches'],
  ),
)
