"""The full names that common English nicknames stand for."""

_GROUPS = """
abigail: abby gail
alexander: alex al sandy xander
alexandra: alex sandra lexi sandy
alfred: al fred alf
amanda: mandy
andrew: andy drew
anthony: tony
barbara: barb babs
benjamin: ben benny
catherine: cathy kate katie cat
charles: charlie chuck chas
christina: chris tina chrissy
christine: chris tina chrissy
christopher: chris kit topher
cynthia: cindy
daniel: dan danny
david: dave davey
deborah: deb debbie
donald: don donnie
dorothy: dot dottie
edward: ed eddie ted ned
eleanor: ellie nell
elizabeth: liz beth betty lizzie eliza libby
emily: em emmy
eugene: gene
francis: frank
frederick: fred freddie
gabriel: gabe
gerald: gerry jerry
gregory: greg
harold: harry hal
henry: harry hank
isabella: bella izzy
jacob: jake
jacqueline: jackie
james: jim jimmy jamie
jeffrey: jeff
jennifer: jen jenny
jessica: jess jessie
john: jack johnny
jonathan: jon
joseph: joe joey
joshua: josh
judith: judy
katherine: kathy kate katie kat
kathleen: kathy kate
kenneth: ken kenny
kimberly: kim
lawrence: larry
leonard: len lenny leo
margaret: maggie meg peggy marge greta
martin: marty
matthew: matt
megan: meg
melissa: missy mel
michael: mike mick mickey
nancy: nan
natalie: nat
nathaniel: nate nathan
nicholas: nick nicky
nicole: nikki
pamela: pam
patricia: pat patty tricia trish
patrick: pat paddy
peter: pete
philip: phil
rachel: rach
raymond: ray
rebecca: becky becca
richard: rick dick rich ricky
robert: bob rob bobby robbie
ronald: ron ronnie
samantha: sam
samuel: sam sammy
sandra: sandy
stephanie: steph
stephen: steve
steven: steve
susan: sue susie
theodore: ted theo teddy
theresa: terry tess
thomas: tom tommy
timothy: tim timmy
victoria: vicky tori
vincent: vince vinny
virginia: ginny
walter: walt
william: bill will billy liam willy
zachary: zach zack
"""
FULL_NAMES: dict[str, frozenset[str]] = {}
for _line in _GROUPS.split("\n"):
    _full, _, _short = _line.partition(": ")
    for _nickname in _short.split():
        FULL_NAMES[_nickname] = FULL_NAMES.get(_nickname, frozenset()) | {_full}
