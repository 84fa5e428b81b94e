// Where files are dropped: each is sent to the API's own route, with its progress.
const COUNT = new Intl.NumberFormat("en");

export default {
  template: `
    <div><form class="drop" :class="{ over }" @dragover.prevent="over = true" @dragleave="over = false"
        @drop.prevent="dropped" @submit.prevent>
      <p class="drop-what"><label class="button main">Choose files
        <input type="file" multiple class="vh" :accept="takes.accept" @change="chosen"></label>
        <span>or drop them here: {{ takes.told }}</span></p>
      <div v-if="takes.columns.length" class="drop-how">
        <label v-for="column in takes.columns" :key="column.name">{{ column.label }}<input v-model="fields[column.name]" type="text"
          autocomplete="off" :placeholder="column.usual ? '' : 'none'"></label>
        <label v-if="takes.are_rows">Rows become<select v-model="fields.lands_as"><option value="pending">pending, for review</option>
          <option v-if="trusted" value="approved">approved labels</option></select></label>
      </div>
      <ul v-if="files.length" class="drop-files" aria-live="polite"><li v-for="file in files" :key="file.key">
        <span class="name">{{ file.name }}</span>
        <progress :value="file.sent" :max="file.size" :aria-label="'sent of ' + file.name"></progress>
        <span :class="file.problem ? 'bad' : 'soft'">{{ file.problem || told(file) }}</span>
      </li></ul>
    </form></div>`,
  props: { url: String, takes: Object, trusted: Boolean },
  emits: ["sent"],
  data() {
    const fields = Object.fromEntries(this.takes.columns.map((column) => [column.name, column.usual]));
    return { over: false, files: [], fields: this.takes.are_rows ? { ...fields, lands_as: "pending" } : fields };
  },
  methods: {
    told: (file) => (file.done || `${COUNT.format(Math.round((100 * file.sent) / (file.size || 1)))} %`),
    dropped(event) {
      this.over = false;
      for (const file of event.dataTransfer.files) this.send(file);
    },
    chosen(event) {
      for (const file of event.target.files) this.send(file);
      event.target.value = "";
    },
    send(file) {
      this.files.unshift({ key: `${file.name}${Date.now()}`, name: file.name, size: file.size, sent: 0, done: "", problem: "" });
      const at = this.files[0];
      const form = new FormData();
      for (const [name, value] of Object.entries(this.fields)) if (value) form.append(name, value);
      form.append("file", file);
      const request = new XMLHttpRequest();
      request.upload.onprogress = (event) => (at.sent = Math.min(event.loaded, at.size));
      request.onerror = () => (at.problem = "the connection broke; send it again" + (this.takes.are_rows ? ", it goes on where it was" : ""));
      request.onload = () => this.answered(at, request);
      request.responseType = "json";
      request.open("POST", this.url);
      request.send(form);
    },
    answered(at, request) {
      const answer = request.response ?? {};
      if (request.status === 201 || request.status === 202)
        at.done = "total" in answer ? `${COUNT.format(answer.created)} new, ${COUNT.format(answer.changed)} changed` : "received";
      at.sent = at.size;
      const [first] = answer.errors ?? [];
      if (!at.done) at.problem = answer.detail + (first ? `: ${first.field} ${first.message}` : "");
      this.$emit("sent", { id: answer.id ?? null });
    },
  },
};
