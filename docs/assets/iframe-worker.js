// Browsers refuse workers to pages opened from a file. Search then runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      // `window.postMessage(data)` of the worker's script means: to the page that started it.
      this.frame.srcdoc =
        `<script>
          const importScripts = (...urls) => Promise.all(urls.map(url => new Promise((done, failed) => {
            const script = document.createElement("script")
            script.src = url; script.onload = done; script.onerror = failed
            document.head.append(script)
          })))
          window.postMessage = data => parent.postMessage(data, "*")
        <\/script><script src="${new URL(url, location)}"><\/script>`
      this.ready = new Promise(done => this.frame.addEventListener("load", done))
      document.body.append(this.frame)
      window.addEventListener("message", event => {
        if (event.source === this.frame.contentWindow)
          this.dispatchEvent(new MessageEvent("message", { data: event.data }))
      })
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() { this.frame.remove() }
  }
}
