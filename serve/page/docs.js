// The API's description, from openapi.json.

const make = (kind, ...content) => {
  const made = document.createElement(kind);
  made.append(...content);
  return made;
};

// Text with `code` in it.
const prose = (text) => text.split("`").map((part, k) => (k % 2 ? make("code", part) : part));

const here = new URL(".", location.href).href;
document.getElementById("examples").textContent = [
  `curl --data-binary @photo.jpg ${here}v1/classify`,
  `curl -F image=@photo.jpg "${here}v1/classify?audio=wav"`,
  `curl --data-binary @photo.jpg -H "Accept: audio/wav" -o answer.wav ${here}v1/classify`,
].join("\n");

function table(title, rows) {
  if (!rows.length) return [];
  const body = rows.map(([name, meaning]) => make("tr", make("td", make("code", name)), make("td", ...prose(meaning))));
  const [first, second] = ["name", "meaning"].map((head) => make("th", head));
  first.scope = second.scope = "col";
  return [make("h3", title), make("table", make("thead", make("tr", first, second)), make("tbody", ...body))];
}

function fields(schema, schemas) {
  const name = schema?.$ref?.split("/").at(-1);
  const entries = Object.entries(schemas[name]?.properties ?? {});
  return entries.map(([field, { description, title }]) => [field, description ?? title ?? ""]);
}

function section(method, path, operation, schemas) {
  const heading = make("h2", make("span", method.toUpperCase()), make("code", path));
  heading.firstChild.className = "method";
  const parameters = (operation.parameters ?? []).map((one) => [`${one.in}: ${one.name}`, one.description ?? ""]);
  const bodies = Object.keys(operation.requestBody?.content ?? {}).map((type) => [type, type.startsWith("multipart") ? "a form with the file `image`" : "the image"]);
  const reply = fields(operation.responses["200"]?.content?.["application/json"]?.schema, schemas);
  const statuses = Object.entries(operation.responses).filter(([status]) => status !== "200");
  return make(
    "section", heading, make("p", ...prose(operation.description ?? operation.summary)),
    ...table("Body", bodies), ...table("Parameters", parameters), ...table("Reply", reply),
    ...table("Errors", statuses.map(([status, { description }]) => [status, description])),
  );
}

const api = await (await fetch("openapi.json")).json();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    document.querySelector("main").append(section(method, path, operation, api.components?.schemas ?? {}));
  }
}
