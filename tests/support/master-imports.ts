/** Imported on masters only. */
export {}

;(globalThis as { masterImports?: true }).masterImports = true
