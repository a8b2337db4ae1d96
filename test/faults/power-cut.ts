/**
 * What a disk may hold when its power returns, by seed. Nothing is assumed that POSIX does not say:
 * of a file each write since its last sync is kept, dropped (zeros where a later one was kept) or
 * torn; of a directory each name stands for what it stood for after any of its changes since the
 * last sync, whatever became of other names: a rename may survive at either end, at both, at none.
 */
import type { Dice } from "../processes/random.ts";
import { newDirectory, newFile } from "./disk-nodes.ts";
import type { DirectoryNode, FileNode, Node, UnsyncedWrite } from "./disk-nodes.ts";
import { MemoryDisk } from "./memory-disk.ts";

const SECTOR_BYTES = 512;

/** A disk of its own; the one given goes on unchanged. */
export function afterPowerCut(disk: MemoryDisk, dice: Dice): MemoryDisk {
  const copies = new Map<Node, Node>();
  const copyOf = (node: Node): Node => {
    const known = copies.get(node);
    if (known !== undefined) return known;
    const copy = node.kind === "file" ? survivingFile(node, dice) : survivor(node);
    copies.set(node, copy);
    return copy;
  };
  const survivor = (directory: DirectoryNode): DirectoryNode => {
    const entries = new Map<string, Node>();
    for (const [name, child] of survivingEntries(directory, dice)) {
      const copy = copyOf(child);
      if (copy.kind === "file") copy.links++;
      entries.set(name, copy);
    }
    return newDirectory(directory.ino, entries);
  };
  return new MemoryDisk({ ...disk.start, root: survivor(disk.root) });
}

function survivingEntries(directory: DirectoryNode, dice: Dice): Map<string, Node> {
  const entries = new Map(directory.durable);
  for (const [name, changes] of directory.unsynced) {
    const kept = dice.below(changes.length + 1);
    if (kept === 0) continue;
    const node = changes[kept - 1];
    if (node === undefined) entries.delete(name);
    else entries.set(name, node);
  }
  return entries;
}

function survivingFile({ ino, mtimeNs, durable, unsynced }: FileNode, dice: Dice): FileNode {
  let content = Uint8Array.from(durable);
  for (const write of unsynced) {
    const kept = tear(write, dice);
    if (kept === undefined) continue;
    const grown = new Uint8Array(Math.max(content.length, kept.offset + kept.bytes.length));
    grown.set(content);
    grown.set(kept.bytes, kept.offset);
    content = grown;
  }
  return newFile(ino, mtimeNs, content);
}

function tear(write: UnsyncedWrite, dice: Dice): UnsyncedWrite | undefined {
  const { offset, bytes } = write;
  switch (dice.below(4)) {
    case 0:
      return undefined;
    case 1:
      return { offset, bytes: bytes.subarray(0, dice.below(bytes.length + 1)) };
    case 2: {
      // Some of its sectors never arrived: zeros stand there.
      const torn = Uint8Array.from(bytes);
      for (let at = -(offset % SECTOR_BYTES); at < torn.length; at += SECTOR_BYTES) {
        if (dice.chance(0.5)) torn.fill(0, Math.max(0, at), Math.max(0, at + SECTOR_BYTES));
      }
      return { offset, bytes: torn };
    }
    default:
      return write;
  }
}
