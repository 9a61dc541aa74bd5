/** A document on its way back to its file: comments stay, and the file is replaced whole or not at all. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadFile, parseYaml } from '../../../control/config/load.ts';
import { saveDocument, toYaml, writeAtomically } from '../../../control/config/save.ts';
import { withoutPort, withPort } from '../../../control/model/edit.ts';

const ORIGINAL = `# what this switch is for
workers: { count: 1 } # one is enough
bridges:
  # the tenants
  - name: br0
    ports:
      # the web server
      - { name: web, kind: tap, netns: web, vlan: { tag: 10 } } # ten
      - { name: db, kind: tap, netns: db } # second
  - name: br1 # spare
`;

describe('toYaml', () => {
  it('keeps every comment and the layout when nothing changed', () => {
    expect(toYaml(parseYaml(ORIGINAL), ORIGINAL)).toBe(ORIGINAL);
  });

  it('changes only what changed', () => {
    const added = withPort(parseYaml(ORIGINAL), 'br0', { name: 'new', kind: 'memory' });
    const text = toYaml(added, ORIGINAL);
    expect(text).toBe(ORIGINAL.replace('# second\n', '# second\n      - { name: new, kind: memory }\n'));
    expect(toYaml(withoutPort(added, 'br0', 'new'), text)).toBe(ORIGINAL);
    const retagged = parseYaml(ORIGINAL.replace('tag: 10', 'tag: 11'));
    expect(toYaml(retagged, ORIGINAL)).toBe(ORIGINAL.replace('tag: 10', 'tag: 11'));
  });

  it('keeps numbers as keys: a tunnel’s map of VLANs', () => {
    const original = `bridges:
  - name: br0
    ports:
      - name: t # to the others
        kind: vxlan
        local: 192.0.2.1
        remotes: [ 192.0.2.2 ] # one
        vlans:
          10: 5010 # web
          20: 5020 # database
`;
    const document = parseYaml(original);
    expect(toYaml(document, original)).toBe(original);
    const other = parseYaml(
      original.replace('20: 5020', '30: 5030').replace('5010', '6010').replace('.2 ]', '.2, 192.0.2.3 ]'),
    );
    const text = toYaml(other, original);
    expect(parseYaml(text)).toEqual(other);
    expect(text).toContain('[ 192.0.2.2, 192.0.2.3 ] # one');
    expect(text).toContain('          10: 6010 # web\n          30: 5030\n');
    expect(toYaml(document)).toContain('        vlans:\n          10: 5010\n          20: 5020\n');
    const more = withPort(document, 'br0', {
      name: 'u',
      kind: 'geneve',
      local: '192.0.2.1',
      vlans: { '1': 1, '4094': 2 },
    });
    expect(toYaml(more, original)).toContain('vlans:\n          1: 1\n          4094: 2\n');
    expect(parseYaml(toYaml(more, original))).toEqual(more);
  });

  it('says the same even where anchors and merge keys are in the way', () => {
    const anchored = 'bridges: [{ name: a, ports: [&x { name: p, kind: memory }] }, { name: b, ports: [*x] }]\n';
    const less = withoutPort(parseYaml(anchored), 'a', 'p');
    expect(parseYaml(toYaml(less, anchored))).toEqual(less);
    expect(parseYaml(toYaml(less, 'not: [yaml'))).toEqual(less);
    expect(parseYaml(toYaml(less))).toEqual(less);
  });
});

describe('writeAtomically', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-save-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keeps the mode and leaves nothing beside the file', () => {
    const file = join(folder, 'weft.yaml');
    writeFileSync(file, 'old');
    chmodSync(file, 0o660);
    writeAtomically(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o7777).toBe(0o660);
    expect(readdirSync(folder)).toEqual(['weft.yaml']);
  });

  it('writes through a symbolic link', () => {
    const file = join(folder, 'real.yaml');
    writeFileSync(file, 'old');
    symlinkSync(file, join(folder, 'link.yaml'));
    writeAtomically(join(folder, 'link.yaml'), 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readdirSync(folder).sort()).toEqual(['link.yaml', 'real.yaml']);
  });

  it('leaves everything as it was when it fails', () => {
    const file = join(folder, 'weft.yaml');
    mkdirSync(file);
    expect(() => writeAtomically(file, 'new')).toThrow(expect.objectContaining({ code: 'unwritable-file' }));
    expect(readdirSync(folder)).toEqual(['weft.yaml']);
    expect(() => writeAtomically(join(folder, 'no', 'such'), 'new')).toThrow(/was not written and is as it was/);
  });

  it('saves a document over its own file', () => {
    const file = join(folder, 'weft.yaml');
    writeFileSync(file, ORIGINAL);
    const changed = withoutPort(loadFile(file), 'br0', 'db');
    saveDocument(file, changed);
    expect(loadFile(file)).toEqual(changed);
    expect(readFileSync(file, 'utf8')).toContain('# the web server');
  });

  it('tells why a file cannot be read', () => {
    expect(() => loadFile(join(folder, 'none.yaml'))).toThrow(/none\.yaml: there is no such file/);
    expect(() => loadFile(folder)).toThrow(/it is a directory/);
    writeFileSync(join(folder, 'bytes'), Buffer.from([0xff, 0xfe, 0x00]));
    expect(() => loadFile(join(folder, 'bytes'))).toThrow(/it is not UTF-8 text/);
  });
});
