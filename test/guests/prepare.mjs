/**
 * Gets a kernel for the guests of the tests and makes their image, in the user's cache folder: `node test/guests/prepare.mjs`, once, after
 * a build. Plain JavaScript, as test/run.mjs is.
 */
import { execFileSync } from 'node:child_process';
import { guestImage } from '../../dist/control/demo/guests/image.js';

const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
const { kernel, initrd } = await guestImage(busybox);
process.stdout.write(`${kernel}\n${initrd}\n`);
