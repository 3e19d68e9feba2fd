"use strict";

// Everything is put in as text, never as markup.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) made.append(child);
  return made;
}

// What is between backticks is code.
function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");

let schemas = {};

function resolved(schema) {
  const named = schema && schema.$ref && schema.$ref.split("/").pop();
  return named ? { ...schemas[named], named } : schema ?? {};
}

function typeOf(schema) {
  if (schema === true || schema === undefined) return "anything";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.filter((value) => value !== null).map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(" | ");
  const types = [schema.type ?? "anything"].flat();
  return types.map((type) => (type === "array" ? `list of ${typeOf(schema.items)}` : type)).join(" | ");
}

// The objects with fields that are nested in a schema, each once.
function nested(schema, found) {
  if (schema === null || typeof schema !== "object") return found;
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    if (!found.has(name)) {
      found.set(name, schemas[name]);
      nested(schemas[name], found);
    }
  }
  for (const value of Object.values(schema)) nested(value, found);
  return found;
}

function table(headings, rows) {
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, headings.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell)))))));
}

function named(name, isNeeded) {
  return [element("code", {}, name), isNeeded ? element("span", { class: "must" }, " required") : ""];
}

function fields(schema) {
  const needed = schema.required ?? [];
  return table(["Field", "Type", "What it is"], Object.entries(schema.properties).map(([name, field]) =>
    [named(name, needed.includes(name)), element("code", {}, typeOf(field)), prose(resolved(field).description)]));
}

function shape(title, schema, isOptional) {
  const top = resolved(schema);
  const parts = [element("h3", {}, title, isOptional ? " (may be left out)" : "")];
  if (top.description) parts.push(element("p", {}, prose(top.description)));
  if (top.properties) parts.push(fields(top));
  else parts.push(element("p", {}, element("code", {}, typeOf(schema))));
  if (top.additionalProperties === false) parts.push(element("p", { class: "said" }, "Other fields are refused."));
  const others = nested(schema, new Map());
  others.delete(top.named);
  for (const [name, other] of others) {
    if (other?.properties) parts.push(element("h3", {}, name), fields(other));
  }
  return parts;
}

function inside(operation) {
  const parts = [element("p", {}, prose(operation.description))];
  if (operation.parameters) {
    parts.push(element("h3", {}, "Parameters"), table(["Name", "In", "Type", "What it is"], operation.parameters.map((it) =>
      [named(it.name, it.required), it.in, element("code", {}, typeOf(it.schema)), prose(it.description)])));
  }
  const body = operation.requestBody;
  if (body) parts.push(shape("Body", body.content["application/json"].schema, !body.required));
  parts.push(element("h3", {}, "Answers"), table(["Status", "What it means", "Body"],
    Object.entries(operation.responses).map(([status, response]) => [
      element("code", {}, status), prose(response.description),
      element("code", {}, Object.entries(response.content ?? {}).map(([media, it]) =>
        media === "application/json" && it.schema?.$ref ? typeOf(it.schema) : media).join(", ") || "none"),
    ])));
  return element("div", { class: "inside" }, parts);
}

function route(path, method, operation) {
  const said = element("summary", {},
    element("span", { class: `method ${method}` }, method), element("code", {}, path),
    element("span", { class: "said" }, prose(operation.summary)),
    element("span", { class: "who", title: operation.description }, operation["x-toolgate-access"].replace("_", " ")));
  const shown = element("details", { id: operation.operationId }, said);
  // What is inside is made when somebody looks.
  shown.addEventListener("toggle", () => {
    if (shown.open && shown.children.length === 1) shown.append(inside(operation));
  });
  shown.dataset.words = `${method} ${path} ${operation.summary}`.toLowerCase();
  return shown;
}

function show(description) {
  schemas = description.components.schemas;
  document.getElementById("version").textContent = description.info.version;
  document.getElementById("about").textContent = description.info.description;
  const main = document.getElementById("routes");
  const groups = new Map(description.tags.map((tag) => [tag.name, []]));
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      groups.get(operation.tags[0]).push(route(path, method.toUpperCase(), operation));
    }
  }
  main.replaceChildren();
  for (const { name, description: text } of description.tags) {
    const routes = groups.get(name);
    main.append(element("section", { id: slug(name), "aria-label": name }, element("h2", {}, name), element("p", {}, text), routes));
    const link = element("a", { href: `#${slug(name)}` }, name);
    document.getElementById("groups").append(element("li", {}, link));
  }
  filter();
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted) {
    if (wanted.tagName === "DETAILS") wanted.open = true;
    wanted.scrollIntoView();
  }
}

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("main section")) {
    let here = 0;
    for (const one of section.querySelectorAll("details")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
      here += one.hidden ? 0 : 1;
    }
    section.hidden = here === 0;
    count += here;
  }
  document.getElementById("count").textContent = count === 1 ? "1 route" : `${count} routes`;
}

document.getElementById("filter").addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target.tagName !== "INPUT") {
    event.preventDefault();
    document.getElementById("filter").focus();
  }
});
fetch("openapi.json").then((answer) => answer.json()).then(show).catch((problem) => {
  document.getElementById("routes").textContent = `openapi.json could not be shown: ${problem.message}. Reload the page.`;
});
