// Keeps the calls that a page makes before the script is there. Inline it:
// <script>…stub…</script><script async src=".../v1" data-tenant="…"></script>
type Call = [string, unknown[]]
const calls: Call[] = []
const page = window as unknown as Record<string, unknown>
page.hly = page.headlessly ||= new Proxy(calls, {
  get: (_, name: string) =>
    name === 'q'
      ? calls
      : (...args: unknown[]) => {
          calls.push([name, args])
        },
})
