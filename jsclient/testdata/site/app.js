// A single-page app over the History API, in the way small routers work.
function show(view) {
  document.querySelector('h1').textContent = view
  setTimeout(function () { document.title = 'App: ' + view }, 5)
}
document.getElementById('app').addEventListener('click', function (event) {
  var link = event.target.closest('a')
  if (!link) return
  event.preventDefault()
  var view = link.getAttribute('href')
  history.pushState({ view: view }, '', 'app.html?view=' + view)
  show(view)
})
addEventListener('popstate', function (event) {
  show((event.state && event.state.view) || 'inbox')
})
var filters = 0
document.getElementById('filter').addEventListener('click', function () {
  var url = new URL(location.href)
  url.searchParams.set('filter', ++filters)
  history.replaceState(history.state, '', url)
})
