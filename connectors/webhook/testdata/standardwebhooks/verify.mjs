// Reads a delivery of ours and verifies it with Standard Webhooks' library.
import { Webhook } from 'standardwebhooks'

const { body, headers, secrets, wrong } = JSON.parse(process.argv[2])
let verified = 0
let refused = 0
const attempt = (secret, text, h) => {
  try {
    new Webhook(secret).verify(text, h)
    verified++
  } catch {
    refused++
  }
}
for (const secret of secrets) attempt(secret, body, headers)
attempt(wrong, body, headers)
attempt(secrets[0], body + ' ', headers)
attempt(secrets[0], body, { ...headers, 'Webhook-Id': 'msg_other' })
console.log(`${verified} verified, ${refused} refused`)
