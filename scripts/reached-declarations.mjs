/**
 * Keeps of a tree of declaration files what some entry points reach: statements that nobody reaches
 * become empty lines, so that declaration maps stay right, and files without any fall away.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import ts from "typescript-js-api";

/**
 * By path the text to publish, and whether its source says more than it: not so where it holds types
 * only.
 */
export async function keepReached(entries) {
  const tree = new Tree();
  for (const entry of entries) await tree.reachAll(entry);
  return tree.texts();
}

class Tree {
  #files = new Map();

  /** Reaches everything that a module exports. */
  async reachAll(path) {
    const file = await this.#file(path);
    if (file.isWhole) return;
    file.isWhole = true;
    for (const statement of file.source.statements) {
      if (isExported(statement)) await this.#reach(file, statement);
    }
  }

  texts() {
    return [...this.#files.values()].map((file) => {
      const needsSource = [...file.reached].some(isValue);
      return { path: file.path, text: textOf(file), needsSource };
    });
  }

  async #file(path) {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const source = ts.createSourceFile(
      path,
      await readFile(path, "utf8"),
      ts.ScriptTarget.ESNext,
      true,
    );
    const file = { path, source, reached: new Set(), isWhole: false, declared: new Map() };
    for (const statement of source.statements) {
      for (const name of namesDeclaredBy(statement)) {
        file.declared.set(name, [...(file.declared.get(name) ?? []), statement]);
      }
    }
    this.#files.set(path, file);
    return file;
  }

  async #reach(file, statement) {
    if (file.reached.has(statement)) return;
    file.reached.add(statement);
    const from = statement.moduleSpecifier?.text;
    if (ts.isExportDeclaration(statement) && from !== undefined) {
      await this.#reachModule(file, from, statement.exportClause?.elements);
      return;
    }
    if (ts.isImportDeclaration(statement)) return;
    for (const name of namesUsedIn(statement)) await this.#reachName(file, name);
    for (const { specifier, name } of importTypesIn(statement)) {
      const to = targetOf(file, specifier);
      if (to !== undefined) await this.#reachExport(to, name);
    }
  }

  async #reachModule(file, specifier, elements) {
    const to = targetOf(file, specifier);
    if (to === undefined) return;
    if (elements === undefined) return this.reachAll(to);
    for (const { name, propertyName } of elements) {
      await this.#reachExport(to, (propertyName ?? name).text);
    }
  }

  /** What a name means inside a file. */
  async #reachName(file, name) {
    for (const statement of file.declared.get(name) ?? []) {
      await this.#reach(file, statement);
      if (!ts.isImportDeclaration(statement)) continue;
      const to = targetOf(file, statement.moduleSpecifier.text);
      if (to === undefined) continue;
      const bindings = statement.importClause?.namedBindings;
      const element = bindings?.elements?.find((each) => each.name.text === name);
      if (element === undefined) await this.reachAll(to);
      else await this.#reachExport(to, (element.propertyName ?? element.name).text);
    }
  }

  async #reachExport(path, name) {
    const file = await this.#file(path);
    await this.#reachName(file, name);
    for (const statement of file.source.statements) {
      if (!ts.isExportDeclaration(statement)) continue;
      const elements = statement.exportClause?.elements;
      const element = elements?.find((each) => each.name.text === name);
      if (element === undefined && elements !== undefined) continue;
      await this.#reach(file, statement);
    }
  }
}

function targetOf({ path }, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  return resolve(dirname(path), specifier.replace(/\.[jt]s$/, ".d.ts"));
}

function isValue(statement) {
  return (
    ts.isClassDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isVariableStatement(statement)
  );
}

function isExported(statement) {
  if (ts.isExportDeclaration(statement) || ts.isExportAssignment(statement)) return true;
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function namesDeclaredBy(statement) {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.text);
  }
  if (ts.isImportDeclaration(statement)) {
    const { name, namedBindings } = statement.importClause ?? {};
    const elements = namedBindings?.elements ?? (namedBindings ? [namedBindings] : []);
    return [name, ...elements.map((element) => element.name)].flatMap((each) => each?.text ?? []);
  }
  return statement.name === undefined ? [] : [statement.name.text];
}

function namesUsedIn(node, names = new Set()) {
  if (ts.isIdentifier(node)) names.add(node.text);
  node.forEachChild((child) => void namesUsedIn(child, names));
  return names;
}

function importTypesIn(node, found = []) {
  if (ts.isImportTypeNode(node)) {
    let name = node.qualifier;
    while (name !== undefined && ts.isQualifiedName(name)) name = name.left;
    found.push({ specifier: node.argument.literal.text, name: name?.text ?? "*" });
  }
  node.forEachChild((child) => void importTypesIn(child, found));
  return found;
}

/** An import keeps the names that are used; everything else is kept whole or left out. */
function textOf({ source, reached }) {
  const { text } = source;
  const used = new Set();
  for (const statement of reached) {
    if (!ts.isImportDeclaration(statement)) namesUsedIn(statement, used);
  }
  let kept = "";
  for (const statement of source.statements) {
    const whole = text.slice(statement.pos, statement.end);
    const isKept = reached.has(statement);
    const isImport = ts.isImportDeclaration(statement);
    if (isKept && !isImport) kept += whole;
    else if (isKept) kept += importOf(statement, used) + "\n".repeat(linesOf(whole));
    else kept += "\n".repeat(linesOf(whole));
  }
  return kept + text.slice(source.statements.end);
}

const linesOf = (text) => text.split("\n").length - 1;

function importOf(statement, used) {
  const elements = statement.importClause?.namedBindings?.elements;
  const whole = statement.getFullText();
  if (elements === undefined) return whole.trim();
  const names = elements.filter(({ name }) => used.has(name.text)).map((each) => each.getText());
  const type = statement.importClause.isTypeOnly ? "type " : "";
  const from = statement.moduleSpecifier.getText();
  return `import ${type}{ ${names.join(", ")} } from ${from};`;
}
