function readStock(round) {
  throw new RangeError('stock ' + round + ' is out of range')
}
function placeOrder(round) {
  try {
    readStock(round)
  } catch (cause) {
    throw new Error('order ' + round + ' failed', { cause: cause })
  }
}
var round = 0
document.getElementById('throw').addEventListener('click', function onThrow() {
  placeOrder(++round + ' of ' + location.search)
})
document.getElementById('reject').addEventListener('click', function onReject() {
  Promise.reject(new TypeError('nobody handles ' + ++round + ' of ' + location.search))
})
document.getElementById('caught').addEventListener('click', function onCaught() {
  try {
    placeOrder(++round + ' of ' + location.search)
  } catch (error) {
    headlessly.captureException(error, { tags: { area: 'checkout' }, extra: { round: round } })
  }
})
document.getElementById('message').addEventListener('click', function () {
  headlessly.captureMessage('stock is low', 'warning')
})
