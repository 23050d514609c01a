import DPONNX
import FoundationEssentials

/// A value of a JSON object of options.
private enum OptionValue: Decodable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([OptionValue])
    case object([String: OptionValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([OptionValue].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: OptionValue].self))
        }
    }
}

/// Takes options out of a JSON object one by one; what is left over is nobody's.
struct OptionsReader {
    private var values: [String: OptionValue]

    /// - Throws: `UsageError` if the text is no JSON object.
    init(_ text: String) throws(UsageError) {
        do {
            values = try JSONDecoder().decode([String: OptionValue].self, from: Data(text.utf8))
        } catch {
            throw UsageError("the options are not a JSON object")
        }
        values = values.filter { if case .null = $0.value { false } else { true } }
    }

    /// - Throws: `UsageError` naming the options that nobody has taken.
    func finish() throws(UsageError) {
        guard let name = values.keys.min() else { return }
        throw UsageError("there is no option '\(name)'")
    }

    mutating func double(_ key: String) throws(UsageError) -> Double? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        guard case .number(let number) = value else { throw wrong(key, "a number") }
        return number
    }

    mutating func integer(_ key: String) throws(UsageError) -> Int? {
        guard let number = try double(key) else { return nil }
        guard let integer = Int(exactly: number) else { throw wrong(key, "an integer") }
        return integer
    }

    mutating func bool(_ key: String) throws(UsageError) -> Bool? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        guard case .bool(let bool) = value else { throw wrong(key, "true or false") }
        return bool
    }

    mutating func text(_ key: String) throws(UsageError) -> String? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        guard case .text(let text) = value else { throw wrong(key, "a string") }
        return text
    }

    /// One of a set of names.
    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String, _: Choice.Type = Choice.self)
        throws(UsageError) -> Choice?
    {
        guard let name = try text(key) else { return nil }
        guard let choice = Choice(rawValue: name) else {
            throw wrong(key, "one of " + Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", "))
        }
        return choice
    }

    /// A list of strings, or one string.
    mutating func texts(_ key: String) throws(UsageError) -> [String]? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        if case .text(let text) = value { return [text] }
        guard case .list(let list) = value else { throw wrong(key, "a list of strings") }
        var texts: [String] = []
        for element in list {
            guard case .text(let text) = element else { throw wrong(key, "a list of strings") }
            texts.append(text)
        }
        return texts
    }

    /// An object of integers that are not negative.
    mutating func sizes(_ key: String) throws(UsageError) -> [String: Int]? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        guard case .object(let object) = value else { throw wrong(key, "an object of integers") }
        var sizes: [String: Int] = [:]
        for (name, value) in object {
            guard case .number(let number) = value, let size = Int(exactly: number), size >= 0 else {
                throw wrong(key, "an object of integers")
            }
            sizes[name] = size
        }
        return sizes
    }

    /// An object of numbers, by ascending key.
    mutating func numbers(_ key: String) throws(UsageError) -> [(pattern: String, norm: Double)]? {
        guard let value = values.removeValue(forKey: key) else { return nil }
        guard case .object(let object) = value else { throw wrong(key, "an object of numbers") }
        var numbers: [(pattern: String, norm: Double)] = []
        for (name, value) in object.sorted(by: { $0.key < $1.key }) {
            guard case .number(let number) = value else { throw wrong(key, "an object of numbers") }
            numbers.append((name, number))
        }
        return numbers
    }

    private func wrong(_ key: String, _ expected: String) -> UsageError {
        UsageError("the option '\(key)' must be \(expected)")
    }
}
