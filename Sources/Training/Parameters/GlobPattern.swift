/// A shell-like pattern for names: `*` stands for any text, `?` for one character, `[a-c]` for one of a set and `[!a-c]`
/// for one outside it, `\` takes the next character as it is. A text equal to the pattern matches in any case.
struct GlobPattern {
    let text: String
    private let tokens: [Token]

    private enum Token {
        case any
        case one
        case character(Character)
        case set([ClosedRange<Character>], isNegated: Bool)
    }

    init(_ text: String) {
        self.text = text
        var tokens: [Token] = []
        var rest = Array(text)[...]
        while let character = rest.popFirst() {
            switch character {
            case "*": tokens.append(.any)
            case "?": tokens.append(.one)
            case "\\" where !rest.isEmpty: tokens.append(.character(rest.removeFirst()))
            case "[":
                if let (set, after) = Self.set(rest) {
                    tokens.append(set)
                    rest = after
                } else {
                    tokens.append(.character("["))
                }
            default: tokens.append(.character(character))
            }
        }
        self.tokens = tokens
    }

    /// Whether the pattern is a name and nothing more.
    var isLiteral: Bool {
        tokens.allSatisfy { if case .character = $0 { true } else { false } }
    }

    func matches(_ name: String) -> Bool {
        if name == text { return true }
        let characters = Array(name)
        var (token, position) = (0, 0)
        // Where the last `*` stood, and how far it reaches.
        var resume: (token: Int, position: Int)?
        while position < characters.count {
            if token < tokens.count, case .any = tokens[token] {
                resume = (token, position)
                token += 1
            } else if token < tokens.count, Self.fits(tokens[token], characters[position]) {
                token += 1
                position += 1
            } else if let last = resume {
                resume = (last.token, last.position + 1)
                (token, position) = (last.token + 1, last.position + 1)
            } else {
                return false
            }
        }
        return tokens[token...].allSatisfy { if case .any = $0 { true } else { false } }
    }

    private static func fits(_ token: Token, _ character: Character) -> Bool {
        switch token {
        case .any: false
        case .one: true
        case .character(let expected): expected == character
        case .set(let ranges, let isNegated): ranges.contains { $0.contains(character) } != isNegated
        }
    }

    /// The set after an opening bracket, and what follows it; nil if no bracket closes it.
    private static func set(_ text: ArraySlice<Character>) -> (Token, ArraySlice<Character>)? {
        var rest = text
        let isNegated = rest.first == "!" || rest.first == "^"
        if isNegated { rest.removeFirst() }
        var ranges: [ClosedRange<Character>] = []
        while let low = rest.popFirst() {
            if low == "]", !ranges.isEmpty { return (.set(ranges, isNegated: isNegated), rest) }
            if rest.first == "-", let high = rest.dropFirst().first, high != "]", low <= high {
                ranges.append(low...high)
                rest = rest.dropFirst(2)
            } else {
                ranges.append(low...low)
            }
        }
        return nil
    }
}
