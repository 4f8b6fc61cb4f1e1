"""What the offline judge knows of English words, written for this project: opposites, exclusive kinds, words alike.

Data alone; lexicon.py reads it once. Groups end with a semicolon. A group of OPPOSITES sets the words left of the bar
against those right of it. The members of one group of KINDS exclude each other where one takes the other's place. The
words of one group of ALIKE may take each other's place and nothing changes.
"""

OPPOSITES = """
increase rise rose risen grow grew grown climb gain jump surge soar growth expand expansion augment boost escalate |
decrease fall fell fallen shrank drop decline shrink plunge slump dwindle reduce reduction lessen diminish contract
contraction lower; high | low; higher upper above over exceed | lower below under beneath; more most majority maximum
max maximal maximize | less least fewer fewest minority minimum min minimal minimize; many numerous several plenty
abundant abundance | few scarce scarcity none; large big huge great giant massive enormous vast major largest biggest
larger bigger | small little tiny minor slight smallest smaller miniature negligible; long longer longest lengthy |
short shorter shortest brief; tall | short; wide broad wider broader | narrow narrower; thick | thin; deep | shallow;
heavy heavier | light lighter; fast quick rapid swift faster quickly rapidly | slow sluggish slower slowly gradually;
early earlier | late later; old older oldest ancient elderly | young younger youngest new modern; new newer newest
recent latest novel fresh | old outdated obsolete former traditional existing; good better best excellent great
positive positively favorable favourable superb | bad worse worst poor terrible negative negatively unfavorable
unfavourable awful; strong stronger robust powerful strength | weak weaker feeble fragile weakness; hot warm heat
hotter | cold cool chill cooler colder; hard difficult tough challenging | easy simple effortless; rich wealthy
affluent | poor impoverished; safe secure safety | dangerous unsafe risky hazardous insecure danger; true correct
right accurate valid | false incorrect wrong inaccurate invalid; open opened reopen | close closed shut closure; start
begin began begun commence launch open initiate beginning inception onset | end finish stop cease conclude terminate
quit halt close discontinue ending; first initial initially original | last final finally ultimate; before prior
previously preceding precede pre | after following subsequent subsequently follow post; ahead front forward forwards |
behind back backward backwards; up upward upwards upstairs | down downward downwards downstairs; top | bottom; in
inside within indoor indoors internal inner interior | out outside outdoor outdoors external outer exterior; include
including contain involve inclusive | exclude excluding omit except without exclusive lack; accept approve agree
embrace permit welcome | reject refuse decline deny disagree disapprove veto dismiss; allow permit enable authorize
legalize let | forbid prohibit ban prevent disable block bar disallow outlaw; allowed permitted legal lawful
authorized | forbidden prohibited illegal unlawful banned unauthorized; support favor favour endorse back advocate
promote | oppose object resist criticize undermine against condemn; for pro | against anti; win won victory triumph
winner | lose lost defeat loss loser; succeed success successful successfully | fail failure unsuccessful failed
unsuccessfully; pass | fail; buy bought purchase acquire acquisition buyer | sell sold sale divest seller; give gave
given donate send sent | take took taken receive received; lend | borrow; teach taught teacher | learn learnt learned
student; build built create construct establish found make made | destroy demolish dismantle abolish ruin break; add
addition additional attach insert | remove removal delete subtract detach; profit gain surplus income | loss deficit
expense; profitable lucrative | unprofitable loss-making; asset | liability; love like enjoy adore prefer | hate
dislike detest despise loathe; happy glad pleased delighted joyful cheerful excited | sad unhappy upset displeased
miserable disappointed depressed; friend ally friendly | enemy foe rival hostile; alive living live survive survived
survivor | dead died death die killed perish; married marriage marry | divorced single unmarried divorce; male man men
boy he his him husband father son brother king uncle mr | female woman women girl she her wife mother daughter sister
queen aunt mrs; same identical equal similar alike | different distinct unequal dissimilar; similarity | difference;
always constantly continually invariably | never seldom rarely occasionally; often frequently frequent common commonly
regularly usual usually | rare rarely seldom infrequently uncommon unusual infrequent; all every everyone everybody
everything each entire whole entirely completely fully | none nobody nothing no partial partially part partly; both |
neither; everywhere | nowhere; with | without; public publicly | private privately secret; known famous popular
renowned celebrated | unknown obscure unpopular; popularity | unpopularity; native local domestic | foreign imported;
local regional | national international global worldwide; rural countryside | urban city; north northern northward |
south southern southward; east eastern eastward | west western westward; northeast northeastern | southwest
southwestern; northwest northwestern | southeast southeastern; left | right; present attend | absent miss; presence |
absence; available | unavailable; possible feasible able can could | impossible infeasible unable cannot; likely
probable probably | unlikely improbable; certain sure definite definitely certainly | uncertain unsure doubtful;
active enabled on running online | inactive disabled off stopped offline; complete completed finished done |
incomplete unfinished pending; full | empty vacant; fill | drain; import importer | export exporter; arrive arrival
enter entry | depart departure leave exit; come came | go went gone; join enroll enrol | leave resign withdraw; hire
employ recruit appoint | fire dismiss sack; employed | unemployed; push | pull; raise raised lift | lower lowered;
improve improvement enhance enhancement better upgrade progress | worsen deteriorate deterioration degrade decline
downgrade impair; help assist aid facilitate | hinder hamper impede obstruct harm; benefit beneficial advantage
advantageous helpful | harm harmful detriment detrimental disadvantage damaging; advantage strength pro | disadvantage
drawback weakness con; protect defend preserve conserve save | attack harm threaten endanger damage destroy; keep kept
retain maintain stay remain continue | discard abandon lose change leave drop; remember recall | forget forgot
forgotten; find found discover locate | lose lost miss; reveal disclose expose show uncover unveil | hide conceal
cover mask; visible | invisible hidden; clear clearly obvious transparent | unclear vague obscure opaque; clean |
dirty; dry | wet; soft | hard; smooth | rough; sharp | blunt dull; bright light | dark dim; day daytime | night
nighttime; morning | evening; sunrise dawn | sunset dusk; summer | winter; ancient antique | modern contemporary;
permanent lasting eternal | temporary transient provisional; maximum peak highest | minimum trough lowest; simple
basic plain straightforward | complex complicated sophisticated intricate; cheap inexpensive affordable economical |
expensive costly pricey; free | paid charged; voluntary voluntarily optional | mandatory compulsory obligatory
required involuntary; optimistic optimism hopeful | pessimistic pessimism hopeless; calm peaceful | violent agitated;
peace | war; guilty | innocent; guilt | innocence; convict convicted | acquit acquitted; arrest detain imprison jail |
release free; liberal progressive | conservative; democrat democratic | republican; majority | minority; offense
offensive | defense defence defensive; ascend | descend; parent | child; ancestor predecessor | descendant successor;
employer | employee; teacher | pupil; host | guest; doctor | patient; lawyer prosecutor prosecution | defendant;
customer client consumer buyer | vendor supplier seller provider; leader lead | follower follow; senior | junior;
superior | inferior; professional | amateur; expert veteran | novice beginner; real genuine authentic actual | fake
counterfeit artificial false imaginary; natural | artificial synthetic; theory theoretical theoretically | practice
practical practically; quantitative | qualitative; supervised | unsupervised; linear | nonlinear; static | dynamic;
fixed constant stable steady unchanged unaltered | variable unstable volatile changing changed altered; stability |
instability; finite | infinite; deterministic | stochastic random; manual manually | automatic automatically;
automated | manual; analog analogue | digital; physical | virtual; centralized | decentralized distributed;
independent | dependent; independence | dependence; together jointly collectively | apart separately individually
alone; united unite unify merge combine | divided divide split separate; connect connected attach | disconnect
disconnected detach; direct directly | indirect indirectly; formal | informal; legal | illegal; moral ethical |
immoral unethical; fair just | unfair unjust; honest truthful | dishonest deceitful lying; trust | distrust mistrust;
confident | doubtful hesitant; brave courageous | cowardly; careful cautious | careless reckless; patient | impatient;
polite | rude; kind gentle | cruel harsh; lenient | strict; responsible | irresponsible; efficient effective |
inefficient ineffective; efficiency effectiveness | inefficiency; useful | useless; usefulness importance important
significant significance | uselessness unimportance unimportant insignificant insignificance irrelevant; relevant |
irrelevant; necessary needed essential | unnecessary needless; sufficient enough adequate | insufficient inadequate;
reliable | unreliable; satisfied satisfactory | dissatisfied unsatisfactory; interested interesting | uninterested
boring bored uninteresting; familiar | unfamiliar; comfortable | uncomfortable; healthy | sick ill unhealthy; health |
sickness disease illness; benign | malignant; acute | chronic; toxic poisonous | nontoxic harmless; awake | asleep;
hungry | full; thirsty | quenched; exhale | inhale; expand | contract; accelerate speed | decelerate slow brake;
rising | falling; attract attraction | repel repulsion; accepting | rejecting; credit | debit; income revenue |
expenditure cost; upside | downside; bull bullish | bear bearish; overestimate overvalue | underestimate undervalue;
outperform exceed beat surpass | underperform lag trail miss; ahead | behind; praise commend applaud | blame criticize
criticise condemn; praised | criticized; confirm affirm verify validate | deny refute contradict disprove invalidate;
confirmed | denied; admit acknowledge | deny; encourage motivate | discourage deter dissuade; persuade | dissuade;
obey comply follow | disobey violate breach defy; respect | disrespect contempt; reward | punish punishment; lock |
unlock; load | unload; install | uninstall; encrypt | decrypt; subscribe | unsubscribe; wrap pack | unwrap unpack;
freeze | melt thaw; liquid | solid; vertical vertically | horizontal horizontally; clockwise | counterclockwise
anticlockwise; parallel | perpendicular; concave | convex; odd | even; positive | negative; plus | minus; multiply |
divide; sparse | dense; homogeneous | heterogeneous; symmetric symmetrical | asymmetric asymmetrical; lossy |
lossless; online | offline; wired | wireless; synchronous | asynchronous; success | failure; hope | despair; pride
proud | shame ashamed; humble modest | arrogant; generous | stingy selfish; greedy | generous; loud noisy | quiet
silent; speak talk | listen; ask question | answer reply; question | answer; offer | request; demand | supply; push |
withdraw; plaintiff | defendant; tighten strict stricter | loosen relax ease; ease | intensify tighten; loose | tight;
rise | set; lead leading | trailing; near close nearby | far distant away remote; nearest | farthest; here | there;
single one | multiple several; singular | plural; individual | group collective; friendliness | hostility; vegetarian
vegan | carnivore meat; sweet | bitter sour; raw uncooked | cooked; approve approval | disapprove disapproval
rejection; consent | dissent; unanimous | divided; overweight fat obese | thin slim skinny; alkaline | acidic; sober |
drunk; lucky fortunate fortunately | unlucky unfortunate unfortunately; deliberate intentional intentionally
deliberately | accidental unintentional accidentally; premature | overdue; upload | download; deposit | withdraw
withdrawal; inflation | deflation; shortage | surplus; growth | decline recession; birth born | death died; fiction
fictional | nonfiction factual; tragedy tragic | comedy comic; hero | villain; heaven | hell; victim | perpetrator
offender; introvert | extrovert; major | minor; resist | surrender; urban | rural; winner | loser; upstream |
downstream; reversible | irreversible; dominant | recessive; inhibit suppress | activate stimulate; primary main |
secondary; indoor | outdoor; maximal | minimal; macro | micro; micro | macro; import | export; overt | covert;
explicit explicitly | implicit implicitly; concrete | abstract; objective | subjective; obtain gain | forfeit; advance
| retreat; blessing | curse; majority | handful; cancel cancelled canceled scrap | schedule scheduled reinstate keep;
postpone delay | advance expedite; delayed late | punctual early
"""

KINDS = """
january february march april may june july august september october november december; monday tuesday wednesday
thursday friday saturday sunday; second minute hour day week fortnight month quarter year decade century; morning noon
afternoon evening midnight; spring summer autumn winter; today tomorrow yesterday; yearly annual quarterly monthly
weekly daily hourly; red orange yellow green blue purple violet pink brown black white grey silver; north south east
west northeast northwest southeast southwest; africa asia europe america australia antarctica oceania; england
scotland wales ireland france germany spain portugal italy greece turkey russia ukraine poland sweden norway denmark
finland iceland netherlands belgium switzerland austria hungary romania bulgaria serbia croatia china japan korea
india pakistan bangladesh indonesia malaysia thailand vietnam philippines iran iraq israel egypt syria lebanon
afghanistan nigeria kenya ethiopia ghana morocco algeria canada mexico brazil argentina chile peru colombia venezuela
cuba; english scottish welsh irish british french german spanish portuguese italian greek turkish russian ukrainian
polish swedish norwegian danish finnish dutch belgian swiss austrian hungarian romanian bulgarian serbian croatian
chinese japanese korean indian pakistani indonesian malaysian thai vietnamese filipino iranian iraqi israeli egyptian
syrian lebanese afghan nigerian kenyan ethiopian moroccan american canadian mexican brazilian argentine chilean
peruvian colombian venezuelan cuban australian roman latin arabic hebrew persian; london paris berlin madrid rome
vienna moscow istanbul ankara athens dublin edinburgh cardiff manchester liverpool birmingham boston chicago houston
dallas seattle denver atlanta miami detroit philadelphia tokyo osaka beijing shanghai seoul delhi mumbai sydney
melbourne toronto vancouver montreal; father mother brother sister son daughter uncle aunt cousin nephew niece
grandfather grandmother grandson granddaughter husband wife stepfather stepmother fiance boyfriend girlfriend roommate
neighbour neighbor colleague boss friend; man woman boy girl child baby; doctor nurse dentist lawyer judge teacher
professor engineer architect scientist physicist chemist biologist mathematician economist historian philosopher
psychologist writer author novelist poet journalist editor painter sculptor photographer musician singer composer
pianist guitarist drummer actor actress dancer director producer screenwriter chef waiter farmer soldier sailor pilot
driver mechanic plumber electrician carpenter priest bishop politician senator mayor governor minister president king
queen athlete footballer coach referee accountant banker broker merchant businessman secretary detective policeman
firefighter astronaut programmer designer librarian; pediatrician surgeon cardiologist psychiatrist neurologist
hematologist oncologist dermatologist radiologist pathologist; mathematics physics chemistry biology geology astronomy
medicine law economics history philosophy psychology sociology engineering literature linguistics theology art music;
mechanical electrical civil chemical aerospace mining industrial metallurgical biomedical; goalkeeper defender
midfielder striker forward winger; football soccer rugby cricket tennis golf baseball basketball volleyball hockey
badminton boxing wrestling swimming cycling athletics rowing skiing skating chess; gold silver bronze platinum copper
iron steel aluminium aluminum tin lead zinc nickel titanium wood stone brick marble concrete glass plastic paper
cotton wool silk leather rubber granite limestone; car truck lorry bus van taxi train tram bicycle bike motorcycle
scooter boat ship ferry yacht submarine airplane plane aircraft helicopter rocket; dog cat horse cow sheep goat pig
rabbit mouse rat hamster lion tiger bear wolf fox deer elephant giraffe zebra monkey gorilla snake lizard frog turtle
crocodile whale dolphin shark bird eagle owl parrot penguin chicken duck goose turkey fish salmon tuna bee ant spider
butterfly; apple banana orange lemon lime grape strawberry blueberry raspberry cherry peach pear plum mango pineapple
melon watermelon kiwi coconut; potato tomato onion garlic carrot cabbage lettuce spinach broccoli cucumber pepper bean
pea corn pumpkin mushroom; almond peanut walnut cashew hazelnut pistachio pecan macadamia; wheat rice barley oats rye
corn soy oat; beef pork lamb chicken turkey fish bacon ham sausage; milk cheese butter cream yogurt; coffee tea beer
wine whisky vodka juice water lemonade soda cocoa; bread pasta pizza cake soup salad sandwich burger noodle; breakfast
lunch dinner supper brunch; house apartment flat hotel hospital school university college library museum church mosque
temple synagogue cathedral monastery castle palace theatre theater cinema restaurant cafe pub bakery shop supermarket
bank office factory warehouse prison airport station stadium gym park zoo farm; kitchen bathroom bedroom garage garden
basement attic balcony; mountain hill valley river lake sea ocean island desert forest beach swamp glacier volcano;
planet star moon galaxy constellation comet asteroid; mercury venus earth mars jupiter saturn uranus neptune pluto;
novel poem play essay biography memoir magazine newspaper film movie song album opera symphony painting sculpture
photograph podcast documentary; comedy drama thriller horror romance western musical; guitar piano violin cello flute
trumpet drum saxophone clarinet harp; christian muslim jewish hindu buddhist sikh atheist; christianity islam judaism
hinduism buddhism; catholic protestant orthodox anglican methodist baptist lutheran presbyterian; liberal conservative
socialist communist green libertarian; army navy airforce marines; general colonel major captain lieutenant sergeant;
freshman sophomore junior senior; bachelor master doctorate diploma; phone laptop computer tablet television radio
camera printer keyboard monitor; email letter text call fax; windows linux macos android ios; python java javascript
ruby rust go php perl; head neck shoulder arm elbow hand finger chest back stomach hip leg knee foot toe eye ear nose
mouth tooth heart lung liver kidney brain skin; shirt trousers jeans skirt dress jacket coat hat shoe boot sock scarf
glove suit; euro dollar pound yen franc yuan rupee peso; cash card cheque check; metre meter kilometre kilometer mile
foot inch yard centimetre centimeter; gram kilogram tonne pound ounce; byte kilobyte megabyte gigabyte terabyte; word
sentence paragraph page chapter letter; image video audio text; table chair sofa bed desk lamp shelf wardrobe; rain
snow sun wind fog hail storm; football basketball team band orchestra choir; sun moon; wedding funeral birthday
graduation christmas easter halloween thanksgiving; flu cancer diabetes asthma malaria pneumonia tuberculosis stroke;
federal state municipal provincial; primary secondary tertiary; undergraduate graduate postgraduate; murder robbery
theft fraud arson kidnapping rape burglary assault; health life auto home travel pet; marketing sales finance
engineering legal support operations logistics; revenue profit expense tax debt dividend; hydrogen helium oxygen
nitrogen carbon sulfur; solar wind nuclear coal gas oil hydro; doric ionic corinthian tuscan; federal gothic victorian
georgian baroque renaissance colonial neoclassical romanesque italianate; two-story three-story one-story; draft open
pending approved rejected closed merged cancelled shipped delivered refunded paid unpaid; low medium high critical;
small medium large; true false; yes no; positive negative mixed neutral; alabama alaska arizona arkansas california
colorado connecticut delaware florida hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland
massachusetts michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania
tennessee texas utah vermont virginia wisconsin wyoming
"""

# One of each kind of places in which others lie.
WIDE = "europe france ohio"

ALIKE = """
increase rise grow climb gain surge jump augment growth expand boost raise; decrease fall fell fallen shrank shrunk
drop decline shrink reduce lower reduction lessen diminish cut; significant substantial considerable notable major
marked large sizable; show display reveal demonstrate exhibit disclose present indicate exemplify expose depict; say
state report announce declare tell disclose mention claim note remark express; argue propose suggest contend maintain
assert claim put; discuss talk debate converse cover address examine dialogue discussion conversation; use utilize
utilise employ apply leverage; help assist aid support; make create produce generate build craft construct develop
form; begin start commence launch initiate open; end finish conclude terminate stop cease complete; buy purchase
acquire; get obtain receive acquire gain secure; give provide offer supply grant present deliver furnish equip; want
wish desire need like; need require; plan intend arrange organize organise aim design; goal aim objective target
purpose; important crucial essential vital key significant critical; big large great huge massive enormous vast
substantial; small little tiny minor slight; good great excellent fine superb high-quality superior; bad poor terrible
awful; quick fast rapid swift speedy; new novel fresh recent latest modern; old ancient aged; happy glad pleased
delighted; think believe consider regard deem view see; expect anticipate project forecast predict foresee; improve
enhance better upgrade refine advance; approach method technique strategy way manner fashion mode; model framework
system; system equipment apparatus; problem issue challenge difficulty trouble; solve address tackle resolve handle
deal manage; answer reply respond response; ask request inquire; job work occupation profession career employment;
child kid youngster; company firm business corporation enterprise organization organisation; product item good goods
merchandise; customer client consumer shopper; seller vendor provider supplier dealer retailer; use usage; result
outcome consequence effect finding; cause reason lead produce trigger prompt bring; because due since owing; about
approximately roughly around nearly almost circa; also additionally furthermore moreover too; however but nevertheless
though although yet; main primary principal chief key central core leading; different various diverse varied distinct;
similar alike comparable like; same identical equal; many numerous several multiple plenty; few several some; film
movie picture; house home residence dwelling; build construct erect; live reside dwell; die pass perish; famous
renowned known celebrated noted prominent distinguished well-known; contribute contribution; role part; series show
program programme; work task job; begin career; write author pen compose; create establish found set launch; include
comprise contain feature incorporate encompass involve; feature characteristic trait attribute; change alter modify
adjust revise transform adapt shift; adjust adapt revise alter amend; unchanged unaltered constant stable steady
consistent flat; combine integrate merge unite join consolidate; consolidated combined total overall aggregate;
revenue sale turnover; expense cost invoice; buy order; contact reach notify call inform; inform tell notify advise;
choose select pick opt decide prefer; decide choose opt determine resolve; try attempt seek endeavor endeavour strive;
keep retain maintain preserve hold; protect secure safeguard shield defend guard; offender perpetrator criminal
culprit; kill murder slay; attack assault raid; fight battle combat struggle; win triumph prevail; error mistake
fault; incorrectly mistakenly wrongly erroneously; guess recognise recognize estimate; quickly rapidly swiftly
promptly; finally ultimately eventually lastly; mainly mostly primarily largely predominantly chiefly; often
frequently regularly commonly; currently presently now; previous prior former earlier past preceding; following
subsequent next later; next upcoming coming forthcoming; first initial opening; last final closing; whole entire
complete full total; remainder rest; lack absence shortage; benefit advantage merit; value worth; price cost fee;
amount quantity sum; number figure; high elevated; higher superior greater; fall autumn; place location site spot
venue; area region zone district territory; region part section; city town; road street; country nation state; people
individual person;
team group crew squad; boss manager supervisor; friend buddy pal mate; meet gather assemble; meeting gathering
session; join enroll enrol register sign; register enroll sign; trip journey travel voyage; car automobile vehicle;
shop store; picture image photo photograph; beautiful pretty lovely gorgeous; smart clever intelligent bright; angry
mad furious; sad unhappy upset; scared afraid frightened; tired exhausted weary; sick ill unwell; hard difficult tough
challenging; easy simple effortless straightforward; cheap inexpensive affordable economical; expensive costly pricey;
rich wealthy affluent; strange odd weird unusual peculiar; funny amusing humorous comical; interesting intriguing
engaging captivating fascinating; interested intrigued keen; strong powerful robust; weak feeble; safe secure;
dangerous risky hazardous; clear obvious evident apparent; sure certain confident; possible feasible potential; likely
probable; necessary essential required needed; enough sufficient adequate; correct right accurate; wrong incorrect
inaccurate; true factual; real actual genuine; fake false counterfeit; get become; continue proceed carry persist
remain; stay remain; let allow permit enable; stop prevent block halt; support back endorse; criticize criticise
condemn; praise commend laud applaud; like enjoy love appreciate; hate detest loathe dislike; look appear seem; seem
appear; happen occur; occur happen arise; send dispatch mail; bring carry take; fix repair mend; test examine check
assess evaluate; study research investigate examine explore analyze analyse; research study investigation; evaluate
assess measure gauge; describe explain outline portray depict characterize characterise; explain clarify describe;
compare contrast; highlight emphasize emphasise underline underscore stress; mention cite reference; focus concentrate
center centre; focused oriented centered geared conditioned; deal handle cope contend grapple; grapple contend wrestle
struggle; reflect mirror; represent symbolize symbolise; identify recognize recognise detect pinpoint; find discover
locate detect; learn study; teach instruct educate train; understand comprehend grasp; remember recall recollect; view
opinion perspective perspective standpoint; idea concept notion thought; plan scheme design proposal; option choice
alternative; chance opportunity possibility; ability capability capacity skill; skill talent ability; knowledge
expertise understanding; experience background; information data detail; detail particular; document paper file
record; article story piece; report account; list array range assortment selection catalog catalogue; range array
variety spectrum; variety range diversity assortment; set collection group; lot plenty; kind type sort category; type
kind form; part portion section piece segment component; section part segment; top best highest; end finish; edge
border; center centre middle core heart; start beginning onset outset; period era time phase; moment instant;
currently now; soon shortly; quick brief; long lengthy extended; short brief concise; huge enormous gigantic hugely;
very extremely highly really quite; rise ascend climb; spike surge jump; soar surge; plunge tumble plummet drop; drive
propel push; drive due; boost lift increase; ensure guarantee assure; promise pledge vow commit; agree consent concur;
converge concur; agreement deal contract pact accord; disagree differ; refuse decline reject; accept approve embrace;
permit authorize; approve authorize endorse; demand request; order command instruct; mandate require; control manage
govern regulate operate; operate run manage; run operate; lead head direct guide; guide direct steer; direct manage
oversee; oversee supervise; assign designate allocate appoint; appoint name designate; elect choose vote; hire employ
recruit; fire dismiss sack; quit resign leave; leave depart exit; arrive reach come; travel journey; move relocate;
speak talk; listen hear; watch view observe; notice observe spot; wait await; play perform; perform conduct carry
execute; conduct perform carry; act perform; eat consume dine; cook prepare; prepare ready; clean wash tidy; hold
grasp grip; throw toss hurl; dump pour discard; hit strike; break shatter smash; cut slash; damage harm hurt injure;
hurt injure wound; save rescue; rescue save; share split; spread distribute disseminate; collect gather accumulate;
gather collect compile; hide conceal; store keep; lose misplace; waste squander; pay compensate; earn make gain; rent
lease; own possess; deserve merit; welcome greet hospitable; party celebration gathering; celebrate commemorate;
apologize apologise; worry concern; concern worry issue; fear dread; hope wish; trust rely depend; depend rely;
related associated linked connected; associated linked connected related affiliated; link connect tie relate; connect
link join; separate divide split; divide split; remove delete eliminate erase; delete remove erase; shut close; close
shut; install set; setup installation; equip furnish; equipment gear apparatus machinery; tool instrument device;
device gadget; computer pc; software program application; app application; website site; internet web; phone telephone
mobile; message text; email mail; letter note; magazine journal; author writer; scholar academic researcher;
researcher scientist investigator; student pupil; teacher instructor educator; university college; degree
qualification; doctor physician; lawyer attorney; police officer cop; leader head chief; government administration;
law legislation statute; rule regulation; vote ballot; war conflict; weapon arm; crime offense offence; prison jail;
court tribunal; disease illness sickness; medicine drug medication; treatment therapy; cure heal; hospital clinic;
health wellness; food meal; fallout outcome consequence aftermath; reducing decreasing; carve shape sculpt; glowing
shining; evolve progress develop; peer glance look view; glance look; bigger larger greater; usefulness convenience
utility usability; utility usefulness; ease simplicity; convenient handy; benefit profit; further additional more
extra; extra additional more; quite rather fairly; fairly rather; entirely completely totally fully wholly; partly
partially; exactly precisely; simply merely just only; immediately instantly promptly; suddenly abruptly; gradually
slowly; recently lately newly; originally initially; generally usually typically normally; especially particularly
notably; imply suggest; suggest recommend propose advise; recommend suggest advise; require necessitate demand;
involve include entail; consist comprise; cause induce; affect influence impact; influence affect impact; impact
effect influence; effect impact; trend tendency pattern; situation circumstance condition; condition state;
environment surroundings setting; nature character; quality standard; standard norm; level degree extent; rate pace
speed; speed pace velocity; size dimension; shape form; color colour; growth development progress; development growth
evolution; progress advancement advance; advancement progress development; success achievement; achievement
accomplishment success; accomplish achieve attain; achieve accomplish attain reach; reach attain hit; exceed surpass
top beat outperform; surpass exceed outperform; outperform surpass beat exceed; match equal; meet satisfy fulfill
fulfil; satisfy please; hospitality welcome; gift present; wedding marriage; couple pair; wife spouse; husband spouse;
baby infant; teen teenager adolescent; adult grownup; senior elderly; citizen resident inhabitant; resident
inhabitant; crowd audience spectators spectator; audience viewer viewership; fan supporter follower; guest visitor;
tourist visitor traveler traveller; worker employee staff; employee worker staff; staff personnel employee; colleague
coworker; partner associate; participant attendee; candidate applicant nominee; winner champion victor; enemy foe
opponent; opponent rival adversary; rival competitor; competitor rival
"""

# Words that carry grammar rather than content.
LINKS = """
a about above across after again against all along also am among an and another any are around as at be been before
behind being below between beyond both but by can cannot could despite did do does doing done during each either even
ever every few for from had has have having he her here hers him his how i if in into is it its just least less many
may me might mine more most much must my near neither never no none nor not of on onto or other our over own per quite
rather same several shall she should since so some still such than that the their them then there these they this
those through throughout till to too toward towards under until upon us very via was we well were what when where
which while who whom whose why will with within without would yet you your
"""
NEGATIONS = """
barely cannot hardly neither never no nobody none nor not nothing nowhere scarcely without
"""
HEDGES = """
allegedly apparently appears could estimated likely may maybe might perhaps possibly potentially presumably probably
reportedly rumored rumoured seem seems supposedly suspected uncertain unclear unconfirmed
"""
OPINIONS = """
believe believes delicious favorite favourite feel feels gorgeous imo opinion overrated prefer prefers think thinks
underrated
"""
# What stands before a number and says how exact it is.
APPROXIMATE = "about almost approx approximately around circa estimated nearly roughly some"
AT_LEAST = "above beyond exceeding least minimum over"
AT_MOST = "below maximum most under within"
PREPOSITIONS = """
about after against as at before between by during for from in into near of on over since through to under until with
within
"""
# What tells that more than the one thing said may hold: "also", "such as", "sometimes".
AMONG = """
addition additionally again also among another both e.g include included includes including many multiple number
numerous often other others several some sometimes such variety various
"""
# What takes one number, one name, one time of a thing by what it means.
MEASURES = "age area budget capacity elevation height length population price salary version weight"
NAMED = """
architect author biggest brightest capital ceo currency deepest fastest founder highest husband largest longest oldest
owner richest shortest smallest spouse status tallest timezone wife youngest
"""
TIMED = "birth deadline death due premiere"
# What takes one time and one place, or one name: one is born once, and a house lies in one place.
DEEDS = """
baptised baptized based born built buried canceled cancelled christened composed constructed designed die died
discovered erected established formed founded graduated headquartered invented lies located married owned premiered
situated translates
"""
# What says when or for whom a number holds.
SCOPES = "during except for if per unless when while with without"
# What is followed by all who made a thing: "written by".
MAKERS = "authored composed created designed directed discovered founded invented painted sculpted written"
# What comes about at one time; not what may be done again, like to start or to publish.
EVENTS = "born debut died dissolved established founded inaugurated incorporated invented premiered retired retirement"
# What is long and begins once for whom it belongs to.
LASTING = "apprenticeship career childhood education life reign tenure youth"
# Trades that take in others: who began as an artist may have begun as a painter.
TRADES = """
academic apprentice artist assistant athlete author businessman businesswoman clergyman cleric consultant contractor
creator designer developer employee engineer entertainer entrepreneur executive expert freelancer intern leader
manager member minister musician officer official part participant performer person player politician professional
researcher scholar scientist specialist student teacher technician trainee volunteer worker writer
"""
# What passes between two once, as a rule, so that two years of it are one too many.
PASSED = """
acquired added admitted adopted annexed bequeathed bought ceded converted donated emigrated enlisted enrolled
immigrated inducted inherited joined leased left listed married merged moved nationalized privatized purchased
relocated renamed sold surrendered transferred
"""
# What stands between a name and those who did it, all of them: "Hamlet, played by".
MADE_BY = """
authored chaired coached composed created designed directed founded headed hosted invented led narrated painted played
portrayed sculpted voiced written
"""
# What says that most of what follows is so.
MAINLY = "generally largely mainly mostly overwhelmingly predominantly primarily"
# What stands before a name, with a full stop that ends nothing.
TITLES = "capt col dr gen gov hon lt mr mrs ms prof rep rev sen sgt st"
# What an author says who replaces what was true before.
UPDATES = "anymore changed corrected correction currently instead longer now replaced updated"
# Attributes that take any number.
SEVERAL = """
tag label alias keyword skill interest hobby child sibling friend member participant attendee author contributor
editor comment note example feature source reference link language topic category genre award role task todo idea
question risk item step ingredient symptom dependency reviewer stakeholder option finding learning
"""
BE = "am are be became becomes been being is remain remains was were"
AUXILIARY = "has have had will would can could shall should must may might do does did"
# The number of a word is its place.
NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty
"""
TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety"
MONTHS = """
january jan; february feb; march mar; april apr; may; june jun; july jul; august aug; september sep sept; october oct;
november nov; december dec
"""
# Dimension | units : how much of it.
UNITS = """
length | m meter metre meters metres:1, km kilometer kilometre kilometers kilometres:1000, cm centimeter centimetre
centimeters centimetres:.01, mm millimeter millimetre millimeters millimetres:.001, mile miles mi:1609.344, ft foot
feet:.3048, inch inches:.0254, yard yards:.9144;
mass | kg kilogram kilograms:1, g gram grams:.001, mg milligram milligrams:.000001, lb lbs:.45359237, tonne
tonnes:1000;
time | ms millisecond milliseconds:.001, second seconds sec:1, minute minutes min:60, hour hours:3600, day days:86400,
week weeks:604800, month months:2629746, year years:31556952, decade decades:315569520;
data | byte bytes:1, kb kilobyte kilobytes:1000, mb megabyte megabytes:1000000, gb gigabyte gigabytes:1000000000, tb
terabyte terabytes:1000000000000, kib:1024, mib:1048576, gib:1073741824;
share | percent percentage %:1;
usd | $ usd dollar dollars:1, cent cents:.01;
eur | € eur euro euros:1;
gbp | £ gbp:1;
jpy | ¥ jpy yen:1;
temperature | celsius °c:1;
"""
# What says of how many: all, none, and something between.
ALL = "all every each everyone everybody everything always entirely whole"
NOTHING = "no none nobody nothing never neither"
PART = "some few sometimes partly partially half several most"
# States that something goes through, one at a time.
STATES = """
open closed draft pending approved rejected merged cancelled canceled shipped delivered refunded paid unpaid active
inactive enabled disabled done finished started stopped running blocked scheduled completed failed passed deployed
"""
