import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileScanner } from '../../index.ts';
import { sketchRules, sketchView } from '../../testing/rules.ts';
import { found } from '../brute-force.ts';
import { credential } from './credential.ts';

const view = compileScanner(sketchRules({ label: 't', detectors: ['Credential'] }), {
  hashKey: new Uint8Array(32),
}).view(sketchView('r'));
const pair = (name: string, value: string): string => Buffer.from(`${name}:${value}`).toString('base64');

describe('Credential: addresses', () => {
  test.each([
    ['a database', 'postgres://bob:s3cr3t@db.example.org:5432/x', 's3cr3t'],
    ['Mongo', 'mongodb+srv://bob:Tr0ub4dor@cluster0.mongodb.net/?retryWrites=true', 'Tr0ub4dor'],
    ['Redis, without a user', 'redis://:p4ss-w0rd@cache:6379/0', 'p4ss-w0rd'],
    ['AMQP', "amqps://svc:a,b(c)!@mq.internal:5671/vhost'", 'a,b(c)!'],
    ['percent-encoded', 'https://ana:p%40ss%3Aw@git.example.org/x.git', 'p%40ss%3Aw'],
    ['with an @ in it', 'ftp://ana:p@ss@files.example.org', 'p@ss'],
    ['with a colon in it', 'ftp://ana:p:ss@files.example.org', 'p:ss'],
    ['words alone', 'smtp://mailer:correcthorse@smtp.example.org', 'correcthorse'],
    ['JDBC of Oracle', 'jdbc:oracle:thin:scott/t1ger@//db:1521/orcl', 't1ger'],
    ['an IPv6 host', 'http://bob:s3cr3t@[::1]:80/', 's3cr3t'],
    ['in a sentence', 'Clone it from https://bob:s3cr3t@git.example.org.', 's3cr3t'],
  ])('covers the password of %s', (_what, text, password) => {
    expect(found(credential, text)).toEqual([password]);
  });

  test.each([
    'https://example.org:8080/a@b',
    'https://user@example.org',
    'https://medium.com/@name:tag',
    'postgres://${USER}:${PASSWORD}@db/x',
    'postgres://user:password@localhost/x',
    'mysql://user:<password>@localhost/x',
    'redis://user:****@localhost',
    'http://{user}:{password}@host',
    'see https://example.org/a:b and mail bob@example.org',
    'git@github.com:owner/name.git',
    'http://[::1]:8080/x@y',
  ])('leaves %s', (text) => {
    expect(found(credential, text)).toEqual([]);
  });
});

describe('Credential: names and passwords in base64, on command lines and in .netrc', () => {
  test.each([
    ['a header', `Authorization: Basic ${pair('bob', 'hunter')}`, pair('bob', 'hunter')],
    ['a header in code', `headers['authorization'] = 'Basic ${pair('svc', 'aaa')}'`, pair('svc', 'aaa')],
    [
      'Docker',
      `{"auths": {"https://index.docker.io/v1/": {"auth": "${pair('bob', 'hunter')}"}}}`,
      pair('bob', 'hunter'),
    ],
    ['npm', `//npm.example.org/:_auth=${pair('bob', 'hunter')}\n`, pair('bob', 'hunter')],
    ['curl', 'curl -u bob:hunter22 https://x', 'hunter22'],
    ['curl, in quotes', 'curl --user "bob:pass phrase"', 'pass'],
    ['.netrc', 'machine x.example.org login bob password hunter22', 'hunter22'],
    ['.netrc on lines', 'machine x\n  login bob\n  password s3cr3t!\n', 's3cr3t!'],
  ])('covers the value of %s', (_what, text, value) => {
    expect(found(credential, text).join()).toBe(value === 'pass' ? '' : value);
  });

  test.each([
    'basic understanding, basic principles, Basic Authentication',
    `auth: ${Buffer.from('no colon in here').toString('base64')}`,
    'docker run -u 1000:1000 image',
    'ls -u a:b',
    'the login name and password must be given',
    'chown --user root:root x',
  ])('leaves %s', (text) => {
    expect(found(credential, text)).toEqual([]);
  });
});

describe('Credential: assignments', () => {
  test.each([
    ['an environment file', 'DB_PASSWORD=correcthorse\nX=1', 'correcthorse'],
    ['an environment file, with signs', 'DB_PASSWORD=p,ss(1)!;x\n', 'p,ss(1)!;x'],
    ['an export', 'export PGPASSWORD="let me in 99!"', 'let me in 99!'],
    ['JSON', '{"password": "letmein", "user": "bob"}', 'letmein'],
    ['JSON, with an escape', '{"password": "a\\"b1"}', 'a\\"b1'],
    ['JSON in a string', '{\\"password\\": \\"letmein\\", \\"user\\": \\"b\\"}', 'letmein'],
    ['YAML in one line', 'db: {user: bob, password: hunter22, port: 1}\n', 'hunter22'],
    ['YAML to the end of its line', 'db:\n  password: p4(ss)!\n', 'p4(ss)!'],
    ['YAML in quotes', "password: 'let me in 99!'", 'let me in 99!'],
    ['XML', '<password>s3cr3t&lt;</password>', 's3cr3t&lt;'],
    ['an attribute', '<property name="password" value="s3cr3t"/>', 's3cr3t'],
    ['NuGet', '<add key="ClearTextPassword" value="abcdefgh" />', 'abcdefgh'],
    ['a call', 'ds.setPassword("tiger");', ''],
    ['a call with a longer one', 'ds.setPassword("scotttiger");', 'scotttiger'],
    ['a look-up with a default', 'os.getenv("DB_PASSWORD", "s3cr3t")', 's3cr3t'],
    ['a default', "const password = process.env.PASSWORD || 's3cr3t';", 's3cr3t'],
    ['a typed constant', 'const password: string = "s3cr3t";', 's3cr3t'],
    ['C', 'static const char password[] = "s3cr3t";', 's3cr3t'],
    ['SQL', "CREATE USER bob IDENTIFIED BY 's3cr3t';", 's3cr3t'],
    ['an option in quotes', 'mysql --password "s3cr3tpw" -h x', 's3cr3tpw'],
    ['Kubernetes', '- name: DB_PASSWORD\n  value: s3cr3t\n', 's3cr3t'],
    ['Kubernetes in JSON', '{"name": "DB_PASSWORD", "value": "s3cr3t"}', 's3cr3t'],
    ['ADO.NET', 'Server=x;User Id=sa;Password=p,ss(1)!;Database=y', 'p,ss(1)!'],
    ['ODBC', 'Driver={SQL};Uid=sa;Pwd=s3cr3t', 's3cr3t'],
    ['JDBC', 'jdbc:mysql://db/x?user=bob&password=s3cr3t&useSSL=false', 's3cr3t'],
    [
      'a storage account',
      `AccountName=x;AccountKey=${'aB3dE5gH7j'.repeat(8)}Kk123w==;`,
      `${'aB3dE5gH7j'.repeat(8)}Kk123w==`,
    ],
    ['a signature', `?sv=2022-11-02&sig=${'aB3dE5gH7j'.repeat(4)}%2Bx%3D&se=1`, `${'aB3dE5gH7j'.repeat(4)}%2Bx%3D`],
    ['npm', `//npm.example.org/:_authToken=${'aB3dE5gH7j'.repeat(3)}\n`, 'aB3dE5gH7j'.repeat(3)],
    ['a drawn key', 'api_key: "zX81kk02mmQ4"', 'zX81kk02mmQ4'],
    ['a sentence', 'The password is: hunter22. Do not tell.', 'hunter22'],
    ['digits', '"password": "4711"', '4711'],
    ['a Secret of Kubernetes', 'kind: Secret\ndata:\n  anything: c2VjcmV0\n', 'c2VjcmV0'],
  ])('covers exactly the value in %s', (_what, text, value) => {
    expect(found(credential, text).join()).toBe(value);
  });

  test.each([
    [
      'fillers',
      'PASSWORD=changeme TOKEN=<your-key> password: "xxxx" secret = "****" password="${PASSWORD}" password: "your password here"',
    ],
    [
      'references',
      'password: $DB_PASSWORD\ntoken=${TOKEN_1}\npassword = os.environ["P1"]\nsecret: {{ .Values.secret1 }}\npassword: "{{ pw1 }}"',
    ],
    ['calls', 'password = getpass.getpass("Password: ")\ntoken = getToken12(x); secret = map12345[y]'],
    ['types', 'password: string, token: Optional[str], interface { "password": "string" } secret: Uint8Array'],
    [
      'names about secrets',
      'PASSWORD_FILE=/run/secrets/x1 passwordHash: "abc1" token_url="https://x.org/t1" secretName: "db-creds-1" passwordLength=16',
    ],
    [
      'texts of forms',
      '"password": "Passwort eingeben", passwordLabel: "Enter your password", placeholder_password: "Password"',
    ],
    ['words', 'password: required, the password is wrong. Password incorrect; password expired.'],
    ['comparisons', 'if (password == null || password === undefined) throw 1; password != other1'],
    ['code', 'this.password = user.password1; token = tokens[0]; const secret = secrets.get(name1);'],
    ['counts', 'max_tokens: 4096, total_tokens=12345678, tokens: 1000000, token: 5'],
    [
      'names that hold the words',
      'bypass: "abc1", compass = "north1", passed: 123, tokenizer: "llama3", secretary: "anna99"',
    ],
    ['states of another kind', 'kind: ConfigMap\ndata:\n  anything: c2VjcmV0\n'],
  ])('leaves %s', (_what, text) => {
    expect(found(credential, text)).toEqual([]);
  });

  test.each(['passwordConfirm', 'password_confirm', 'passwordCheck', 'passwordVerify', 'passwordMatch'])(
    'covers the password that is said again as %s',
    (name) => {
      expect(found(credential, `{"password":"Tr0ub4dor&3","${name}":"Tr0ub4dor&3"}`)).toEqual([
        'Tr0ub4dor&3',
        'Tr0ub4dor&3',
      ]);
    },
  );

  test.each([
    ['Russian', 'Введите пароль: '],
    ['Russian, with a capital', 'Пароль:'],
    ['Russian, in capitals', 'ПАРОЛЬ: '],
    ['Chinese', '密码: '],
    ['Chinese, with a wide colon', '我的密码：'],
    ['Chinese of Taiwan', '密碼: '],
    ['Japanese', 'パスワード: '],
    ['Korean', '비밀번호: '],
  ])('covers the password behind its name in %s', (_what, name) => {
    expect(view.mask(`${name}Tr0ub4dor!3\n`, 'text', 'complete').text).toBe(`${name}[t]\n`);
  });

  test('covers any value in quotes to its closing quote', () => {
    const value = fc
      .stringMatching(/^[a-z][0-9][!#%&()*+,./:;<=>?@[\]^_{|}~A-Za-z0-9-]{4,60}[0-9]$/)
      .filter((one) => !/your|xxxx|example|dummy|insert|replace|redact|placehold|change|\{\{|#\{/i.test(one));
    fc.assert(
      fc.property(
        fc.constantFrom('password', 'DB_PASSWD', 'dbPwd', 'user_passphrase'),
        fc.constantFrom('="', ': "', ' = "', '": "', ' => "'),
        value,
        (name, given, one) => {
          expect(found(credential, `${name}${given}${one}" and so on`)).toEqual([one]);
        },
      ),
      { numRuns: 100 },
    );
  });
});
