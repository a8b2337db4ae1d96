/** Looks into events whose shape is not known. Pure. */

export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

export function textAt(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return typeof found === "string" ? found : undefined;
}

export function recordsOf(event: unknown): readonly unknown[] {
  const records = field(event, "Records");
  return Array.isArray(records) ? records : [];
}

/** What messages of SQS and SNS hold; of a text that is no JSON undefined. */
export function messagesOf(event: unknown): unknown[] {
  return recordsOf(event).flatMap((record) => {
    const text = textAt(record, "body") ?? textAt(field(record, "Sns"), "Message");
    return text === undefined ? [] : [parsed(text)];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
