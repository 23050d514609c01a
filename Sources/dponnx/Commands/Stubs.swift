import ArgumentParser
struct CheckCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "check") }
struct InspectCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "inspect") }
