import { defineConfig } from 'vitest/config'

export default defineConfig({
  define: { LITE: 'false', VERSION: '"test"' },
  test: { include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 },
})
