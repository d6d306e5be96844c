/** A process that stores the files of one sector in a bucket: `bucket-persisting.ts ENDPOINT PREFIX WORK`. To be killed. */
import { S3Bucket } from '../../src/objects/s3-bucket.ts';
import { optionsFor } from '../objects/s3-store.ts';
import { persistOneSector } from './persist-one-sector.ts';

const [endpoint = '', prefix = '', work = ''] = process.argv.slice(2);
const roots = [{ id: 'main', path: `s3://test/${prefix}`, bucket: new S3Bucket(optionsFor(endpoint, { prefix })) }];
await persistOneSector(roots, work, { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux' });
